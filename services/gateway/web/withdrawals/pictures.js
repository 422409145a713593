// From series and decisions of the service to what is drawn.

import { fold, h, show } from "/web/dom.js";
import { draw, figure } from "/web/charts.js";
import { percent, plain, present, signed, word } from "/web/format.js";
import { panel } from "/web/states.js";
import { short } from "/web/withdrawals/decision.js";

const MOST_MARKS = 300;
const HEADS = { position: "Position", gain: "Gain in percent of the base", rate: "Price, USD", ada: "Price, ADA" };
const UNITS = { position: "tokens", gain: "points", rate: "USD", ada: "ADA" };
const SOURCE_COLOURS = { liqwid: "accent", minswap: "short", price: "green" };

/** A panel around a chart, with room for what stands before and after it. */
export function chartPanel(title, id, { wide = false, tall = false } = {}) {
  const part = panel(title, { wide, rows: tall ? 9 : 7, id: `${id}-panel` });
  const label = `${title}; arrow keys read its points, + and - zoom`;
  const chart = h("div", { class: tall ? "chart tall" : "chart", id, role: "group", tabindex: "0", "aria-label": label });
  const [before, after] = [h("div"), h("div", { class: "list" })];
  const ready = () => chart.parentNode === part.body || show(part.body, before, chart, after);
  return { ...part, chart, before, after, ready };
}

const second = (time) => Date.parse(time) / 1000;
const ofPoints = (series) => [series.points.map((point) => second(point.time)), series.points.map((point) => point.value ?? null)];

/** Lines of one or two series over one axis of time. */
function joined(tables) {
  const [at, ...values] = window.uPlot.join(tables.map(([x, ...columns]) => [x, ...columns]));
  return [at, values];
}

export function showPosition(part, view, main, other) {
  part.ready();
  part.head.firstElementChild.textContent = HEADS[view];
  const flows = main.flows ?? [];
  const marks = flows.slice(-MOST_MARKS).map((flow) => ({ at: second(flow.flow_time), kind: kindOf(flow), title: flowText(flow) }));
  draw(part.chart, { ...(main.bins?.length ? binned(view, main, other) : sampled(view, main, other)), marks });
  const slope = main.trend_per_month;
  part.setCount(present(slope) ? `trend ${signed(slope, figure(slope, 4))} ${UNITS[view]} a month` : "");
  showFlows(part.after, flows);
}

function sampled(view, main, other) {
  if (view !== "position") {
    const [at, values] = ofPoints(main);
    return { at, lines: [{ label: HEADS[view], values, colour: "accent" }] };
  }
  const [at, values] = joined([ofPoints(main), ofPoints(other)]);
  return {
    at,
    lines: [
      { label: "Corrected by flows", values: values[0], colour: "accent", width: 2, digits: 9 },
      { label: "Position", values: values[1], colour: "muted", width: 1.2, digits: 9 },
    ],
  };
}

function binned(view, main, other) {
  const table = (series, names) => [series.bins.map((bin) => second(bin.start_time)), ...names.map((name) => series.bins.map((bin) => bin[name] ?? null))];
  const tables = [table(main, ["p90", "p75", "p50", "p25", "p10"])];
  if (view === "position") tables.push(table(other, ["p50"]));
  const [at, values] = joined(tables);
  const label = view === "position" ? "Corrected" : HEADS[view];
  const lines = [90, 75, 50, 25, 10].map((part, index) => ({
    label: part === 50 ? `${label}, median` : `${part} %`,
    values: values[index],
    colour: "accent",
    width: part === 50 ? 2 : 0.6,
    points: at.length < 40 && part === 50,
    digits: 9,
  }));
  if (view === "position") lines.push({ label: "Position, median", values: values[5], colour: "muted", width: 1.2, digits: 9 });
  return { at, lines, bands: [[0, 4, "accent"], [1, 3, "accent"]] };
}

const kindOf = (flow) => word(flow.kind, "FLOW_KIND_");
const flowText = (flow) => `${kindOf(flow)} of ${plain(flow.units, 2)} by ${short(flow.wallet)}, ${new Date(flow.flow_time).toLocaleString()}${flow.note ? `: ${flow.note}` : ""}`;

function showFlows(place, flows) {
  if (!flows.length) return show(place);
  const head = ["Time", "Flow", "Tokens", "Wallet", "Note"];
  const rows = () =>
    [...flows].reverse().slice(0, MOST_MARKS).map((flow) =>
      h(
        "tr",
        {},
        h("td", {}, new Date(flow.flow_time).toLocaleString()),
        h("td", { data: { label: head[1] } }, h("span", { class: kindOf(flow) }, kindOf(flow))),
        h("td", { class: "n", data: { label: head[2] } }, plain(flow.units, 2)),
        h("td", { title: flow.wallet, data: { label: head[3] } }, short(flow.wallet)),
        h("td", { class: "why whole", data: flow.note ? { label: head[4] } : {} }, flow.note),
      ),
    );
  const most = flows.length > MOST_MARKS ? `, the newest ${MOST_MARKS} are shown` : "";
  const table = () => [h("table", { class: "plain" }, h("thead", {}, h("tr", {}, head.map((name, index) => h("th", { scope: "col", class: index === 2 ? "n" : "" }, name)))), h("tbody", {}, rows()))];
  show(place, fold("flows", `${flows.length} flows marked${most}`, table));
}

/** The second panel is of their distribution. */
export function showResidual(part, spread, series) {
  part.ready();
  const [at, values] = ofPoints(series);
  const gate = series.gate ?? {};
  const lines = [{ label: "Residual, tokens", values, colour: "accent", digits: 4 }];
  const bands = [];
  if (present(gate.low) && present(gate.high)) {
    const outside = gate.side === "GATE_SIDE_ABOVE" || gate.side === "GATE_SIDE_BELOW";
    lines.push({ label: "Upper end", values: at.map(() => gate.high), colour: "green", dash: [5, 4], width: 1.2, digits: 4 });
    lines.push({ label: "Lower end", values: at.map(() => gate.low), colour: "green", dash: [5, 4], width: 1.2, digits: 4 });
    lines.push({ label: "Tested", values: at.map((_, index) => (index === at.length - 1 ? values.at(-1) : null)), colour: outside ? "red" : "green", points: true, digits: 4 });
    bands.push([1, 2, "green"]);
  }
  draw(part.chart, { at, lines, bands, none: "Too few samples for a residual." });
  const points = Number(gate.point_count ?? 0);
  part.setCount(gate.state === "GATE_STATE_EVALUATED" ? `last point ${word(gate.side, "GATE_SIDE_")} the band, ${points} points before` : word(gate.state, "GATE_STATE_"));
  showDistribution(spread, series.distribution);
}

function showDistribution(part, found) {
  part.ready();
  const { edges = [], counts = [], at = [], density = [] } = found ?? {};
  const total = counts.reduce((sum, count) => sum + count, 0);
  part.setCount(total ? `${total} residuals` : "");
  if (!total) return draw(part.chart, { at: [], none: "No residuals in this range." });
  const wide = edges[1] - edges[0];
  const centres = counts.map((_, index) => (edges[index] + edges[index + 1]) / 2);
  const tables = [[centres, counts]];
  // The density in the unit of the bars: how many residuals it would expect in a bin.
  if (density.length) tables.push([at, density.map((value) => value * total * wide)]);
  const [x, values] = joined(tables);
  const lines = [{ label: "Residuals in a bin", values: values[0], colour: "accent", fill: "55", width: 1, paths: (plot) => plot.paths.bars({ size: [0.96], align: 0 }) }];
  if (density.length) lines.push({ label: "Density", values: values[1], colour: "orange", width: 2, digits: 4 });
  return draw(part.chart, { at: x, lines, time: false });
}

/** What each source told at each decision, over the price that the samples carry. */
export function showPrices(part, samples, decisions) {
  part.ready();
  const newest = decisions[0]?.prices;
  showQuotes(part, newest);
  const sources = [...new Set(decisions.flatMap(({ prices }) => (prices?.quotes ?? []).map((quote) => quote.source)))].sort();
  const told = [...decisions].reverse();
  const tables = [ofPoints(samples)];
  for (const source of sources) {
    const points = new Map();
    for (const { prices, evaluated_time: time } of told) {
      const quote = prices?.quotes.find((one) => one.source === source);
      if (present(quote?.price_usd)) points.set(second(time), quote.price_usd);
    }
    tables.push([[...points.keys()], [...points.values()]]);
  }
  const [at, values] = joined(tables);
  const lines = [{ label: "Samples", values: values[0], colour: "muted", width: 1, digits: 6 }];
  sources.forEach((source, index) => lines.push({ label: source, values: values[index + 1], colour: SOURCE_COLOURS[source] ?? "yellow", points: true, digits: 6 }));
  draw(part.chart, { at, lines, none: "No price in this range." });
}

function showQuotes(part, prices) {
  const quotes = prices?.quotes ?? [];
  const said = quotes.map((quote) => h("span", {}, h("b", {}, quote.source), h("span", { class: "n strong" }, present(quote.price_usd) ? `$${plain(quote.price_usd, 4)}` : "none"), quote.problem ? h("em", {}, quote.problem) : null));
  show(part.before, said.length ? h("div", { class: "quotes" }, said) : null);
  const apart = present(prices?.delta_rel) ? `${percent(100 * prices.delta_rel, 3)} apart` : quotes.length ? "not to be compared: fewer than two answered" : "";
  const again = Number(prices?.mismatch_count) ? `, a mismatch ${prices.mismatch_count} times in a row` : "";
  part.setCount(`${apart}${again}`);
  part.count.classList.toggle("band-yellow", Boolean(prices?.mismatch));
}
