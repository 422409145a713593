// What a transfer of collateral would change of an account. Nothing is moved.

import { post } from "/web/api.js";
import { h, show, unknown } from "/web/dom.js";
import { form } from "/web/form.js";
import { present, price, usd } from "/web/format.js";
import { accountFigures } from "/web/wallets/account_figures.js";

const PAIR = /^([A-Za-z0-9:._-]{1,32})\s*=\s*(-?\d+(?:\.\d+)?)$/;

const pairs = (text) => text.split(",").map((one) => one.trim()).filter(Boolean);
const checkBetas = (text) => (pairs(text ?? "").every((one) => PAIR.test(one)) ? undefined : "is a list like BTC=1, ETH=1.3");
const betasOf = (text) => Object.fromEntries(pairs(text ?? "").map((one) => [PAIR.exec(one)[1], Number(PAIR.exec(one)[2])]));

/** Folded away; an account that cannot be judged says so when it is asked. */
export function transfer(account) {
  const told = h("div", { class: "transferred", role: "status" });
  const send = async ({ amount_usd, betas }) => {
    const answer = await post(`/v1/accounts/${encodeURIComponent(account.id)}:evaluateTransfer`, { amount_usd, betas: betasOf(betas) });
    show(told, beside(answer));
  };
  const fields = [
    { name: "amount_usd", label: "Paid in", kind: "number", unit: "$", required: true, help: "below 0: taken out" },
    { name: "betas", label: "With betas", placeholder: "BTC=1, ETH=1.3", check: checkBetas, help: "empty: each asset by itself, and all alike. Else one for every asset" },
  ];
  const made = form({ label: `Transfer of ${account.wallet} ${account.name}`, fields, act: { label: "What it changes", send } });
  return h("details", {}, h("summary", { data: { key: `transfer ${account.id}` } }, "What a transfer would change"), made.node, told);
}

function beside({ amount_usd: amount, before, after }) {
  const [now, then] = [accountFigures(before), new Map(accountFigures(after))];
  const cell = (label, name, text) => h("td", { class: "n", data: { label } }, text ?? unknown(name));
  const rows = now.map(([name, text]) => h("tr", {}, h("td", {}, name), cell("Now", name, text), cell("Then", name, then.get(name) ?? null)));
  const lines = (before.lines ?? []).flatMap((line, place) => {
    const to = after.lines?.[place] ?? {};
    const at = (value) => (present(value) ? price(value) : "none");
    return [["at or below", "below_usd"], ["at or above", "above_usd"]].map(([words, field]) => h("tr", {}, h("td", {}, `${line.asset} ${words}`), cell("Now", words, at(line[field])), cell("Then", words, at(to[field]))));
  });
  const title = Number(amount) < 0 ? `${usd(-amount)} taken out` : `${usd(amount)} paid in`;
  const head = [title, "Now", "Then"].map((name, place) => h("th", { scope: "col", class: place ? "n" : "" }, h("span", { class: "title" }, name)));
  return [h("table", { class: "grid", "aria-label": title }, h("thead", {}, h("tr", {}, head)), h("tbody", {}, rows, lines)), h("p", { class: "about" }, "Nothing is moved, and what the venue lets out is not asked.")];
}
