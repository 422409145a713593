// The decision in words, and what each wallet may take.

import { age } from "/web/ages.js";
import { get } from "/web/api.js";
import { byId, empty, fold, h, pill, show, unknown } from "/web/dom.js";
import { code, plain, present, price, signed, usd, word } from "/web/format.js";

const WORDS = { WITHDRAW_OK: "may be withdrawn now", HOLD: "Hold", ERROR: "Nothing can be said" };
const KEPT_EXPLANATIONS = 20;

/** An address as people compare it: its first 11 and last 6 characters. */
export const short = (name) => (name.length > 20 ? `${name.slice(0, 11)}...${name.slice(-6)}` : name);

const tokens = (text, write = plain) => (text === "" || text === undefined ? null : write(text, Math.abs(Number(text)) < 1 && Number(text) !== 0 ? 6 : 2));
// What may be taken is cut, never rounded up; a hair is added for what a double cannot hold.
const cut = (value, digits) => plain(Math.floor(Number(value) * 10 ** digits + 1e-6) / 10 ** digits, digits);
const usdCut = (value) => `$${cut(value, 2)}`;
const valueOf = (decision) => code(decision.value, "DECISION_VALUE_");

/** Whether one of them is too old to be followed by now. */
export const anyStale = (decisions) => decisions.some(isStale);

export function showDecision(decision) {
  byId("wallet-count").textContent = "";
  byId("judged").replaceChildren();
  if (!decision) {
    show(byId("decision"), empty("No decision yet: it is made with the next cycle, or by Evaluate now."));
    show(byId("wallets"), empty("No allowance yet."));
    return;
  }
  byId("decision").dataset.id = judgement(decision);
  byId("judged").replaceChildren("judged ", age(decision.evaluated_time, { after: " ago" }));
  show(byId("decision"), verdict(decision), reasons(decision), facts(decision), reckoning(decision));
  showWallets([decision]);
  if (decision.id) explain(decision);
}

function verdict(decision) {
  const value = valueOf(decision);
  const amount = present(decision.allowance_usd) ? usdCut(decision.allowance_usd) : null;
  const head = value === "WITHDRAW_OK" ? `${amount ?? "Some"} ${WORDS[value]}` : WORDS[value];
  if (isStale(decision)) return h("div", { class: "verdict value-ERROR" }, h("strong", {}, `Stale: ${head}`), h("small", {}, "Not judged for so long that it is not to be followed: evaluate now, and see whether cycles run."));
  const below = value === "HOLD" && amount ? `The reckoning alone would allow ${amount}.` : `${tokens(decision.allowance_units, cut) ?? "An unknown number of"} ${decision.asset} without touching principal.`;
  return h("div", { class: `verdict value-${value}` }, h("strong", {}, head), h("small", {}, value === "ERROR" ? decision.summary : below));
}

const isStale = (decision) => Date.parse(decision.fresh_until_time) < Date.now();
// A decision that was judged again has the same id and other figures.
const judgement = (decision) => `${decision.id} ${decision.evaluated_time}`;
const explanations = new Map();

function reasons(decision) {
  const told = new Map((explanations.get(judgement(decision))?.actions ?? []).map((line) => line.split(/: (.*)/s).slice(0, 2)));
  const lines = decision.reasons.map((reason) => {
    const name = code(reason, "REASON_");
    return h("li", {}, h("b", {}, word(name)), h("span", {}, told.get(name) ?? ""));
  });
  return h("ul", { class: "reasons", "aria-label": "Reasons" }, lines.length ? lines : h("li", {}, h("span", {}, "Nothing speaks against it.")));
}

function facts(decision) {
  const row = (label, figure) => [h("div", {}, h("dt", {}, label), h("dd", {}, figure ?? unknown(label)))];
  const since = decision.reference_time ? new Date(decision.reference_time).toLocaleString() : null;
  return h(
    "dl",
    { class: "facts" },
    row("Gain", present(decision.gain_usd) ? usd(decision.gain_usd, { sign: true }) : null),
    row("By the price alone", present(decision.price_profit_usd) ? usd(decision.price_profit_usd, { sign: true }) : null),
    row("Value now", present(decision.last_value_usd) ? usd(decision.last_value_usd) : null),
    row("Price", present(decision.price_usd) ? `$${price(decision.price_usd)}` : null),
    row(`Since (${word(decision.ref_mode, "REF_MODE_")})`, since),
  );
}

function reckoning(decision) {
  const lines = explanations.get(judgement(decision))?.lines;
  return lines ? h("div", { class: "reckoning" }, fold("reckoning", "How it was reckoned", () => [h("ol", {}, lines.map((line) => h("li", {}, line)))])) : null;
}

/** Words and numbers behind a judgement: they never change, so they are asked for once. */
async function explain(decision) {
  const mine = judgement(decision);
  if (explanations.has(mine)) return;
  const found = await get(`/v1/withdrawals/decisions/${encodeURIComponent(decision.id)}:explain`).catch(() => null);
  if (found === null || explanations.has(mine)) return;
  if (explanations.size >= KEPT_EXPLANATIONS) explanations.delete(explanations.keys().next().value);
  explanations.set(mine, found);
  if (byId("decision").dataset.id === mine) show(byId("decision"), verdict(decision), reasons(decision), facts(decision), reckoning(decision));
}

/** All assets together: one line each, and what they allow in sum. */
export function showTotal(decisions) {
  byId("judged").replaceChildren();
  byId("decision").dataset.id = "";
  if (!decisions.length) return showDecision(undefined);
  const ready = decisions.filter((decision) => valueOf(decision) === "WITHDRAW_OK" && !isStale(decision));
  const known = ready.filter((decision) => present(decision.allowance_usd));
  const sum = known.reduce((total, decision) => total + decision.allowance_usd, 0);
  const head = ready.length ? `${usdCut(sum)} ${WORDS.WITHDRAW_OK}` : WORDS.HOLD;
  const rows = decisions.map((decision) =>
    h("li", {}, h("b", {}, decision.asset, " ", isStale(decision) ? pill("STALE", "decided-ERROR") : pill(valueOf(decision), `decided-${valueOf(decision)}`)), h("span", {}, decision.reasons.map((reason) => word(reason, "REASON_")).join(", ") || "nothing speaks against it")),
  );
  show(
    byId("decision"),
    h("div", { class: `verdict value-${ready.length ? "WITHDRAW_OK" : "HOLD"}` }, h("strong", {}, head), h("small", {}, `${ready.length} of ${decisions.length} assets`)),
    h("ul", { class: "reasons", "aria-label": "Assets" }, rows),
  );
  showWallets(decisions);
  return undefined;
}

const HEADS = ["Wallet", "Allowance", "Gain", "Supplied", "Taken", "Limited by", "Why"];

function showWallets(decisions) {
  const rows = decisions.flatMap((decision) => decision.wallets.map((wallet) => walletRow(wallet, decisions.length > 1 ? decision.asset : "")));
  byId("wallet-count").textContent = `${rows.length}`;
  if (!rows.length) return show(byId("wallets"), empty("No wallet has a sample."));
  const head = HEADS.map((name, index) => h("th", { scope: "col", class: index > 0 && index < 5 ? "n" : "" }, name));
  return show(byId("wallets"), h("div", { class: "scroll" }, h("table", { class: "plain" }, h("thead", {}, h("tr", {}, head)), h("tbody", {}, rows))));
}

function walletRow(wallet, asset) {
  const cell = (place, figure) => h("td", { class: "n", data: { label: HEADS[place] } }, figure ?? unknown(HEADS[place]));
  const why = [wallet.error, ...wallet.reasons.map((reason) => word(reason, "REASON_"))].filter(Boolean).join(", ");
  const gain = tokens(wallet.gain_units);
  return h(
    "tr",
    {},
    h("td", { class: "whose", title: wallet.wallet }, short(wallet.wallet), asset ? h("small", {}, asset) : null),
    h("td", { class: "n", data: { label: HEADS[1] } }, tokens(wallet.allowance_units, cut) ?? unknown(HEADS[1]), present(wallet.allowance_usd) ? h("small", {}, usdCut(wallet.allowance_usd)) : null),
    cell(2, gain === null ? null : signed(wallet.gain_units, gain)),
    cell(3, tokens(wallet.last_units)),
    cell(4, tokens(wallet.taken_units)),
    h("td", { data: { label: HEADS[5] } }, wallet.binding.map((limit) => word(limit, "LIMIT_")).join(", ") || "–"),
    h("td", { class: "why whole", data: why ? { label: HEADS[6] } : {} }, why),
  );
}
