// Portfolio: the sums over time, sessions, what a crash would do, and the strategy.

import { get } from "/web/api.js";
import { draw } from "/web/charts.js";
import { h, show } from "/web/dom.js";
import { percent, present, signed, usd } from "/web/format.js";
import { sessions, strategy } from "/web/portfolio/sessions.js";
import { shock } from "/web/portfolio/shock.js";
import { snapshots } from "/web/portfolio/snapshots.js";
import { setQuery, sheet } from "/web/router.js";
import { keep, panel } from "/web/states.js";
import { showTotals } from "/web/totals.js";

export const title = "Portfolio";

const WINDOWS = [["3600", "1 h"], ["86400", "24 h"], ["604800", "7 days"], ["2592000", "30 days"], ["31536000", "1 year"]];
const POINTS = 300;

export function mount(root, { query: asked }) {
  sheet("lists");
  sheet("portfolio");
  let window = WINDOWS.find(([value]) => value === asked.get("window"))?.[0] ?? "86400";
  const buttons = WINDOWS.map(([value, text]) => h("button", { type: "button", "aria-pressed": String(value === window), on: { click: () => pick(value) } }, text));
  const pick = (value) => {
    window = value;
    setQuery({ window: value });
    buttons.forEach((button, place) => button.setAttribute("aria-pressed", String(WINDOWS[place][0] === value)));
    trend.refresh();
  };
  const totals = h("section", { class: "totals", "aria-label": "Totals" });
  const over = panel("Value and collateral", { wide: true, rows: 7, id: "trend", tools: [h("span", { class: "seg", role: "group", "aria-label": "Span" }, buttons)] });
  const plot = h("div", { class: "chart", tabindex: "0", role: "group", "aria-label": "Value and collateral over time" });
  const crash = panel("If prices moved", { wide: true, rows: 11, id: "shock" });
  const [plan, stretches] = [panel("Strategy", { rows: 2, id: "strategy" }), panel("Sessions", { rows: 2, id: "sessions" })];
  const past = panel("Snapshots", { wide: true, rows: 8, id: "snapshots" });
  root.append(h("h1", { class: "hidden-title" }, title), totals, over.node, h("div", { class: "halves" }, stretches.node, plan.node), crash.node, past.node);
  const trend = keep(over, () => get(`/v1/trend?window=${window}s&point_count=${POINTS}`), (answer) => showTrend(over, plot, answer));
  const kept = [
    trend,
    keep({ node: totals, body: totals, trouble: h("span") }, () => get("/v1/totals"), (answer) => showTotals(totals, answer)),
    shock(crash),
    strategy(plan),
    sessions(stretches),
    snapshots(past, () => trend.refresh()),
  ];
  return () => kept.forEach((one) => one.stop());
}

function showTrend(part, plot, { points, snapshot_count: count, value_change_usd: change, value_change_percent: share }) {
  if (plot.parentNode !== part.body) show(part.body, plot);
  const of = (field) => points.map((point) => (present(point.snapshot.totals[field]) ? Number(point.snapshot.totals[field]) : null));
  draw(plot, {
    at: points.map((point) => Date.parse(point.snapshot.snapshot_time) / 1000),
    lines: [
      { label: "Highest", values: points.map((point) => point.highest_value_usd), colour: "faint", width: 1 },
      { label: "Lowest", values: points.map((point) => point.lowest_value_usd), colour: "faint", width: 1 },
      { label: "Value", values: of("total_value_usd"), colour: "accent", width: 1.9, points: points.length < 3 },
      { label: "Collateral", values: of("total_collateral_usd"), colour: "long", width: 1.4, dash: [5, 4], points: points.length < 3 },
    ],
    bands: [[0, 1, "faint"]],
    none: "No snapshot in this span; every cycle records one.",
  });
  const moved = present(change) ? `, ${usd(change, { sign: true })}${present(share) ? ` (${signed(share, percent(share, 2))})` : ""}` : "";
  part.setCount(`${count} snapshots${moved}`);
}
