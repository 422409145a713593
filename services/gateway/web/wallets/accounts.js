// What is liquidated together: the account's margin, the prices that end it, and what a transfer would change.

import { age } from "/web/ages.js";
import { get } from "/web/api.js";
import { empty, h, keepRows, pill, scroller, show, unknown } from "/web/dom.js";
import { code, percent, plain, present, price, word } from "/web/format.js";
import { keep } from "/web/states.js";
import { SEPARATE, accountFigures } from "/web/wallets/account_figures.js";
import { transfer } from "/web/wallets/transfer.js";

// Of its way to liquidation, margin ratio.
const NEAR = [[0.8, "HIGH"], [0.6, "MEDIUM"], [0.4, "LOW"]];

/** Keeps the panel true; a card stays, so that what is being typed in it stays too. */
export function accounts(part) {
  const cards = new Map();
  const list = h("div", { class: "list" });
  const display = ({ accounts: rows }) => {
    const stated = rows.filter((one) => !one.estimate_only);
    const judged = stated.filter((one) => !one.reason);
    part.setCount(rows.length ? `${judged.length} of ${stated.length} judged` : "");
    if (!rows.length) return show(part.body, empty("No account yet: the first sync of a wallet states what its positions stand in."));
    keepRows(list, cards, [...rows].sort(nearest), card);
    if (list.parentNode !== part.body) show(part.body, list);
    return undefined;
  };
  return keep(part, () => get("/v1/accounts?page_size=500"), display);
}

/** What cannot be judged first, then the nearest to liquidation. */
function nearest(a, b) {
  const way = (one) => Math.min(...[one.distance_percent, ...(one.lines ?? []).flatMap((line) => [line.down_percent, line.up_percent])].filter(present).map(Number), Infinity);
  return Number(!a.reason) - Number(!b.reason) || way(a) - way(b) || a.wallet.localeCompare(b.wallet);
}

function card(first) {
  const [head, figures, lines] = [h("div", { class: "line wraps" }), h("div"), h("div")];
  const node = h("article", { class: "item account", data: { account: first.id } }, head, figures, lines, transfer(first));
  let shown = "";
  const take = (account) => {
    const text = JSON.stringify(account);
    if (text === shown) return;
    shown = text;
    show(head, title(account));
    show(figures, facts(account), remarks(account));
    show(lines, table(account));
  };
  return { node, take };
}

function title(account) {
  const far = account.distance_percent;
  const away = present(far) ? (Number(far) <= 0 ? h("b", { class: "loss" }, "liquidatable now") : h("b", { class: "n" }, `${percent(far)} of a common move`)) : null;
  return [
    h("b", {}, account.wallet),
    h("span", { class: "subject" }, `${account.venue} · ${account.name}`),
    account.mode && account.mode !== "STANDARD" ? pill(account.mode, "soft") : null,
    account.stale ? pill("STALE", "state-old") : null,
    account.estimated ? pill("ESTIMATED", "level-LOW") : null,
    h("span", { class: "row-acts" }, away, age(account.observed_time, { coloured: true, before: "asked ", after: " ago" })),
  ];
}

function facts(account) {
  const pairs = accountFigures(account).map(([label, text]) => h("div", {}, h("dt", {}, label), h("dd", {}, text ?? unknown(label))));
  const ratio = Number(account.margin_ratio);
  const level = NEAR.find(([limit]) => ratio >= limit)?.[1] ?? "NORMAL";
  const words = `margin ratio ${plain(ratio, 3)}; liquidation is at 1`;
  const meter = present(account.margin_ratio) ? h("div", { class: `level-${level}` }, h("div", { class: "meter", role: "img", title: words, "aria-label": words }, h("i", { style: { "--way": `${Math.min(100, 100 * ratio)}%` } }))) : null;
  return [meter, h("dl", { class: "facts" }, pairs)];
}

function remarks(account) {
  const why = account.kind === SEPARATE ? `Some positions have no line: ${word(account.reason)}.` : `Not judged as a whole: ${word(account.reason)}.`;
  return [
    account.reason ? h("p", { class: "moved" }, why) : null,
    account.kind === SEPARATE ? h("p", { class: "about" }, "Each position has a collateral of its own: the prices are those of the nearest.") : null,
    account.estimate_only ? h("p", { class: "moved" }, "Put together of every dex and the spot balances by the rules the venue publishes: no alert is judged by it.") : null,
    account.estimated && !account.estimate_only ? h("p", { class: "moved" }, "The venue states an equity or a maintenance other than its rules add up to here: conclude nothing from the prices.") : null,
    ...(account.unwatched ?? []).map((text) => h("p", { class: "moved" }, text)),
  ];
}

const HEADS = ["Asset", "Price", "Holds", "Liquidated at or below", "Fall", "Liquidated at or above", "Rise"];

function table(account) {
  const rows = account.lines ?? [];
  if (!rows.length) return null;
  const cell = (place, text) => h("td", { class: "n", data: { label: HEADS[place] } }, text);
  const at = (value) => (present(value) ? price(value) : h("span", { class: "subject" }, "none"));
  const way = (value) => (present(value) ? h("span", { class: Number(value) <= 0 ? "loss strong" : "" }, Number(value) <= 0 ? "now" : percent(value)) : "");
  const row = (line) => h("tr", {}, h("td", {}, line.asset), cell(1, price(line.price_usd)), cell(2, `${plain(line.base, 4)} ${line.base < 0 ? "short" : ""}`), cell(3, at(line.below_usd)), cell(4, way(line.down_percent)), cell(5, at(line.above_usd)), cell(6, way(line.up_percent)));
  const head = HEADS.map((name, place) => h("th", { scope: "col", class: place ? "n" : "" }, h("span", { class: "title" }, name)));
  const label = `Prices that liquidate ${account.wallet} ${account.venue} ${code(account.name, "")}, each when the others stay`;
  return scroller(label, h("table", { class: "grid", "aria-label": label }, h("thead", {}, h("tr", {}, head)), h("tbody", {}, rows.map(row))));
}
