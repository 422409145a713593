// The positions table: worst first, a bar from liquidation over entry to profit, what is unknown as "?".

import { age } from "/web/ages.js";
import { byId, empty, h, pill, show, unknown } from "/web/dom.js";
import { code, heatBand, percent, plain, present, price, signed, times, travelBand, usd, word } from "/web/format.js";

const COLUMNS = [
  { title: "Position", key: (p) => p.asset },
  { title: "Size", key: (p) => p.size_usd, numeric: true },
  { title: "Collateral", key: (p) => p.collateral_usd, numeric: true },
  { title: "Value", key: (p) => p.value_usd, numeric: true },
  { title: "Profit", key: (p) => p.pnl_usd, numeric: true },
  { title: "Lev.", key: (p) => p.leverage_ratio, numeric: true },
  { title: "Liquidation · entry · mark", key: (p) => p.travel_percent },
  { title: "Travel", key: (p) => p.travel_percent, numeric: true },
  { title: "Distance", key: (p) => p.liquidation_distance_percent, numeric: true },
  { title: "Heat", key: (p) => p.heat_index, numeric: true },
  { title: "Mark age", key: (p) => p.mark_time, numeric: true },
];
const RANK = { LEVEL_HIGH: 3, LEVEL_MEDIUM: 2, LEVEL_LOW: 1 };

const order = { column: 8, down: false };
let shown = { positions: [], more: false };
let levels = new Map();
let hedged = new Set();

export function showPositions(answer) {
  shown = { positions: answer.positions, more: answer.next_page_token !== "" };
  render();
}

/** Positions, alerts and hedges live in three services; the table shows them together. */
export function markPositions(alerts, hedges) {
  if (alerts) {
    levels = new Map();
    for (const alert of alerts) {
      const worst = levels.get(alert.position_id);
      if (alert.position_id && (RANK[alert.level] ?? 0) > (RANK[worst] ?? 0)) levels.set(alert.position_id, alert.level);
    }
  }
  if (hedges) hedged = new Set(hedges.flatMap((hedge) => hedge.position_ids));
  render();
}

function render() {
  show(byId("positions-head"), COLUMNS.map(heading));
  const sorted = [...shown.positions].sort(compare);
  const rows = sorted.length ? sorted.map(row) : [h("tr", {}, h("td", { colspan: COLUMNS.length }, empty("No open position.")))];
  show(byId("positions"), rows);
  const count = byId("positions-panel").querySelector("[data-count]");
  count.textContent = `${shown.positions.length}${shown.more ? " shown, there are more" : ""}`;
}

function heading(column, index) {
  const chosen = order.column === index;
  const sort = () => {
    order.down = chosen ? !order.down : false;
    order.column = index;
    render();
  };
  const arrow = chosen ? (order.down ? " ↓" : " ↑") : "";
  const button = h("button", { type: "button", data: { key: column.title }, on: { click: sort } }, column.title + arrow);
  return h("th", { scope: "col", class: column.numeric ? "n" : "", "aria-sort": chosen ? (order.down ? "descending" : "ascending") : "none" }, button);
}

/** What is not known comes first: it may be the worst. */
function compare(one, other) {
  const [a, b] = [one, other].map(COLUMNS[order.column].key);
  if (a === undefined || b === undefined) return (a === undefined ? 0 : 1) - (b === undefined ? 0 : 1);
  return (a < b ? -1 : a > b ? 1 : one.id.localeCompare(other.id)) * (order.down ? -1 : 1);
}

function row(position) {
  const level = levels.get(position.id);
  const cells = [
    h("td", { class: "who" }, identity(position, level)),
    number("Size", position.size_usd, usd),
    number("Collateral", position.collateral_usd, usd),
    number("Value", position.value_usd, usd),
    number("Profit", position.pnl_usd, (value) => usd(value, { sign: true }), Number(position.pnl_usd) < 0 ? "loss" : "gain", afterFees(position)),
    number("Lev.", position.leverage_ratio, times),
    h("td", { class: "path" }, bar(position)),
    number("Travel", position.travel_percent, (value) => signed(value, percent(value)), present(position.travel_percent) ? `band-${travelBand(position.travel_percent)}` : ""),
    number("Distance", position.liquidation_distance_percent, (value) => percent(value), Number(position.liquidation_distance_percent) <= 0 ? "strong loss" : "strong"),
    h("td", { class: "n", data: { label: "Heat" } }, heat(position.heat_index)),
    h("td", { class: "n", data: { label: "Mark age" } }, age(position.mark_time, { coloured: true })),
  ];
  return h("tr", { class: level ? `level-${code(level, "LEVEL_")}` : "" }, cells);
}

function identity(position, level) {
  const side = code(position.side, "SIDE_");
  const flags = position.flags.map((flag) => h("span", { class: `flag ${flag === "FLAG_DEMO" ? "soft" : ""}` }, word(flag, "FLAG_")));
  const status = position.status === "STATUS_ACTIVE" ? null : h("span", { class: "flag" }, word(position.status, "STATUS_"));
  return [
    h("div", { class: "name" }, h("b", {}, position.asset), h("span", { class: `side side-${side.toLowerCase()}` }, side), level ? pill(code(level, "LEVEL_"), `level-${code(level, "LEVEL_")}`) : null),
    h("div", { class: "where" }, `${position.wallet} · ${position.venue}`, hedged.has(position.id) ? h("span", { class: "flag soft" }, "hedged") : null, status, flags),
    position.note ? h("div", { class: "note" }, position.note) : null,
  ];
}

function afterFees(position) {
  if (!present(position.pnl_after_fees_usd)) return null;
  return h("small", { title: "after fees, as the venue says" }, `${usd(position.pnl_after_fees_usd, { sign: true })} net`);
}

function number(label, value, write, kind = "", below = null) {
  return h("td", { class: `n ${kind}`, data: { label } }, h("span", {}, present(value) ? write(value) : unknown(label)), below);
}

function heat(value) {
  if (!present(value)) return unknown("Heat");
  return h("span", { class: `heat band-${heatBand(value)}` }, plain(value, 0));
}

function bar(position) {
  const travel = Number(position.travel_percent);
  const prices = h(
    "div",
    { class: "prices" },
    known("liquidation price", position.risk_liquidation_price_usd),
    known("entry price", position.entry_price_usd),
    known("mark price", position.mark_price_usd),
  );
  if (!present(position.travel_percent)) return [h("div", { class: "bar unknown", title: "way to liquidation: not known" }), prices];
  const way = Math.min(100, Math.abs(travel));
  const kind = travel < 0 ? `losing band-${travelBand(travel)}` : "winning";
  const label = `${percent(travel)} of the way ${travel < 0 ? "to liquidation" : "to the winning side"}`;
  const track = h("div", { class: "bar", role: "img", "aria-label": label, title: label }, h("i", { class: kind, style: { "--way": `${way / 2}%` } }), h("u"));
  return [track, prices];
}

function known(label, value) {
  return present(value) ? h("span", { title: label }, price(value)) : unknown(label);
}
