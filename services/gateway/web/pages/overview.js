// The overview: totals, positions with their bars, worst first, value over time, and what was judged, told and run last.

import { get } from "/web/api.js";
import { draw } from "/web/charts.js";
import { composition } from "/web/composition.js";
import { showCycles, showSchedule } from "/web/cycles.js";
import { empty, h, show } from "/web/dom.js";
import { present, signed, percent, usd } from "/web/format.js";
import { showAlerts, showDeliveries } from "/web/lists.js";
import { heldWords, positionsTable } from "/web/positions.js";
import { keep, panel } from "/web/states.js";
import { keepTable } from "/web/table.js";
import { showTotals } from "/web/totals.js";

export const title = "Overview";

const PAGE = 50;
// Of the largest so many positions the composition is shown; what is left is told as others.
const COMPOSED = 500;
const DAY = "86400s";

const link = (href, text) => h("a", { class: "more", href }, text);

export function mount(root, { query }) {
  const sums = panel("Totals", { id: "totals-panel", wide: true, rows: 2 });
  sums.node.classList.add("bare");
  const parts = {
    positions: panel("Positions", { wide: true, rows: 8, id: "positions-panel", tools: [legend(), link("/positions", "All")] }),
    value: panel("Value and collateral, 24 h", { rows: 6, id: "value-panel" }),
    size: panel("Size", { rows: 6, id: "size-panel" }),
    alerts: panel("Alerts", { rows: 4, id: "alerts-panel" }),
    cycles: panel("Cycles", { rows: 4, id: "cycles-panel" }),
    deliveries: panel("Told", { rows: 4, id: "deliveries-panel" }),
  };
  const column = (...panels) => h("div", { class: "column" }, panels.map((one) => one.node));
  root.append(h("h1", { class: "hidden-title" }, title), sums.node, parts.positions.node, column(parts.value, parts.alerts), column(parts.size, parts.cycles, parts.deliveries));
  const place = (part, ...kind) => inner(part, kind.join(" "));
  const tiles = place(sums, "totals");
  const chart = place(parts.value, "chart");
  const lists = { alerts: place(parts.alerts, "list"), cycles: place(parts.cycles, "list"), deliveries: place(parts.deliveries, "list") };
  const nearest = keepPositions(parts.positions, query);
  // Nothing of these is read before what is nearest to liquidation stands there.
  const then = { after: nearest.first };
  const kept = [
    keep(sums, () => get("/v1/totals"), (answer) => showTotals(tiles(), answer)),
    nearest,
    keep(parts.value, () => get(`/v1/trend?window=${DAY}&point_count=200`), (answer) => showValue(parts.value, chart(), answer), then),
    keep(parts.alerts, () => get("/v1/alerts?page_size=50&min_level=LEVEL_LOW"), (answer) => showAlerts(lists.alerts(), parts.alerts, answer), then),
    keep(parts.cycles, () => Promise.all([get("/v1/cycles?page_size=6"), get("/v1/schedule")]), ([cycles, schedule]) => (showCycles(lists.cycles(), cycles), showSchedule(parts.cycles.count, schedule)), then),
    keep(parts.deliveries, () => get("/v1/deliveries?page_size=6"), (answer) => showDeliveries(lists.deliveries(), answer), then),
    keep(parts.size, readSizes, ([rows, totals]) => show(parts.size.body, rows.length ? composition(rows, totals) : empty("No open position.")), then),
  ];
  return () => kept.forEach(({ stop }) => stop());
}

/** The element that a panel's figures are written into, put there by the first answer. */
function inner(part, kind) {
  const made = h("div", { class: kind });
  return () => {
    if (made.parentNode !== part.body) show(part.body, made);
    return made;
  };
}

const legend = () => h("span", { class: "legend", "aria-hidden": "true" }, h("i", { class: "to-liquidation" }), " towards liquidation ", h("i", { class: "to-profit" }), " towards profit");

function keepPositions(part, address) {
  const levels = new Map();
  const grid = positionsTable({ address, pageSize: PAGE, levels });
  const read = grid.fetch;
  let marked = "";
  grid.fetch = async () => {
    const [page, totals] = await Promise.all([read(), get("/v1/totals")]);
    part.setCount(heldWords(totals, page));
    const now = JSON.stringify([...levels]);
    if (now !== marked) grid.forget();
    marked = now;
    return page;
  };
  return keepTable(part, grid);
}

async function readSizes() {
  const mask = "asset,side,size_usd,collateral_usd";
  const [{ positions }, totals] = await Promise.all([get(`/v1/positions?order_by=size_usd%20desc&page_size=${COMPOSED}&read_mask=${mask}`), get("/v1/totals")]);
  return [positions, totals];
}

function showValue(part, place, { points, value_change_usd: change, value_change_percent: relative }) {
  const moved = present(change) ? usd(change, { sign: true }) : "";
  part.setCount(present(relative) ? `${moved} (${signed(relative, percent(relative))})` : moved);
  const read = (name) => points.map(({ snapshot }) => snapshot.totals[name] ?? null);
  if (points.length < 2) return draw(place, { at: [], none: points.length ? "One snapshot so far: the line begins with the next." : "No snapshot in the last 24 hours." });
  return draw(place, {
    at: points.map(({ snapshot }) => Date.parse(snapshot.snapshot_time) / 1000),
    lines: [
      { label: "Value, USD", values: read("total_value_usd"), colour: "accent", width: 2 },
      { label: "Collateral, USD", values: read("total_collateral_usd"), colour: "muted", width: 1.2, dash: [5, 4] },
    ],
  });
}
