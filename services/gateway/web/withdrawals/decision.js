// The decision in words, and what each wallet may take.

import { age } from "/web/ages.js";
import { get } from "/web/api.js";
import { empty, fold, h, pill, scroller, show, unknown } from "/web/dom.js";
import { code, plain, present, price, signed, usd, word } from "/web/format.js";

const WORDS = { WITHDRAW_OK: "may be withdrawn now", HOLD: "Hold", ERROR: "Nothing can be said" };
const KEPT_EXPLANATIONS = 20;

/** An address as people compare it: its first 11 and last 6 characters. */
export const short = (name) => (name.length > 20 ? `${name.slice(0, 11)}...${name.slice(-6)}` : name);

const tokens = (text, digits = plain) => (text === "" || text === undefined ? null : digits(text, Math.abs(Number(text)) < 1 && Number(text) !== 0 ? 6 : 2));
// What may be taken is cut, never rounded up; a hair is added for what a double cannot hold.
const cut = (value, digits) => plain(Math.floor(Number(value) * 10 ** digits + 1e-6) / 10 ** digits, digits);
const usdCut = (value) => `$${cut(value, 2)}`;
const valueOf = (decision) => code(decision.value, "DECISION_VALUE_");

/** Whether one of them is too old to be followed by now. */
export const anyStale = (decisions) => decisions.some(isStale);

/** `parts`: the panels `decision` and `wallets`. */
export function showDecision(parts, decision) {
  parts.wallets.setCount("");
  show(parts.decision.count);
  if (!decision) {
    show(parts.decision.body, empty("No decision yet: it is made with the next cycle, or by Evaluate now."));
    show(parts.wallets.body, empty("No allowance yet."));
    return;
  }
  parts.decision.body.dataset.id = judgement(decision);
  show(parts.decision.count, h("span", {}, "judged ", age(decision.evaluated_time, { after: " ago" })));
  write(parts.decision, decision);
  showWallets(parts.wallets, [decision]);
  if (decision.id) explain(parts.decision, decision);
}

const write = (part, decision) => show(part.body, verdict(decision), reasons(decision), facts(decision), reckoning(decision));

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
async function explain(part, decision) {
  const mine = judgement(decision);
  if (explanations.has(mine)) return;
  const found = await get(`/v1/withdrawals/decisions/${encodeURIComponent(decision.id)}:explain`).catch(() => null);
  if (found === null || explanations.has(mine)) return;
  if (explanations.size >= KEPT_EXPLANATIONS) explanations.delete(explanations.keys().next().value);
  explanations.set(mine, found);
  if (part.body.dataset.id === mine) write(part, decision);
}

/** All assets together: one line each, and what they allow in sum. */
export function showTotal(parts, decisions) {
  if (!decisions.length) return showDecision(parts, undefined);
  show(parts.decision.count);
  parts.decision.body.dataset.id = "";
  const ready = decisions.filter((decision) => valueOf(decision) === "WITHDRAW_OK" && !isStale(decision));
  const known = ready.filter((decision) => present(decision.allowance_usd));
  const sum = known.reduce((total, decision) => total + decision.allowance_usd, 0);
  const head = ready.length ? `${usdCut(sum)} ${WORDS.WITHDRAW_OK}` : WORDS.HOLD;
  const rows = decisions.map((decision) =>
    h("li", {}, h("b", {}, decision.asset, " ", isStale(decision) ? pill("STALE", "decided-ERROR") : pill(valueOf(decision), `decided-${valueOf(decision)}`)), h("span", {}, decision.reasons.map((reason) => word(reason, "REASON_")).join(", ") || "nothing speaks against it")),
  );
  show(
    parts.decision.body,
    h("div", { class: `verdict value-${ready.length ? "WITHDRAW_OK" : "HOLD"}` }, h("strong", {}, head), h("small", {}, `${ready.length} of ${decisions.length} assets`)),
    h("ul", { class: "reasons", "aria-label": "Assets" }, rows),
  );
  return showWallets(parts.wallets, decisions);
}

const HEADS = ["Wallet", "Allowance", "Gain", "Supplied", "Taken", "Limited by", "Why"];

function showWallets(part, decisions) {
  const rows = decisions.flatMap((decision) => decision.wallets.map((wallet) => walletRow(wallet, decisions.length > 1 ? decision.asset : "")));
  part.setCount(`${rows.length}`);
  if (!rows.length) return show(part.body, empty("No wallet has a sample."));
  const head = HEADS.map((name, index) => h("th", { scope: "col", class: index > 0 && index < 5 ? "n" : "" }, name));
  return show(part.body, scroller("Allowance of each wallet", h("table", { class: "plain" }, h("thead", {}, h("tr", {}, head)), h("tbody", {}, rows))));
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
