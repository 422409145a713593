// What a backtest found: figures, the strip of the first position's alerts over the price, the curve with its knee.

import { draw } from "/web/charts.js";
import { empty, h, pill, scroller, show } from "/web/dom.js";
import { code, percent, plain, present, price, seconds, usd } from "/web/format.js";
import { panel } from "/web/states.js";

const COLOURS = { LOW: "yellow", MEDIUM: "orange", HIGH: "red" };
const NAMES = ["low", "medium", "high"];
const HOUR_SECONDS = 3600;

/** Fills `place` with the answer of RunBacktest. */
export function outcome(place, found) {
  const parts = {
    figures: panel("What came of it", { wide: true, rows: 4, id: "figures" }),
    strip: panel("The first position", { wide: true, rows: 8, id: "strip" }),
    curve: panel("More alarms against longer lead", { wide: true, rows: 8, id: "curve" }),
  };
  show(place, ...Object.values(parts).map((part) => part.node));
  showFigures(parts.figures, found);
  showStrip(parts.strip, found);
  showCurve(parts.curve, found);
}

const share = (part, whole) => (Number(whole) ? `${part} of ${whole} (${percent((100 * part) / whole, 0)})` : "–");
const lasts = (duration) => (duration ? seconds(Number.parseFloat(duration)) : "–");
const words = (limits) => NAMES.map((name) => (present(limits?.[name]) ? String(Number(Number(limits[name]).toPrecision(6))) : "–")).join(" / ");

function showFigures(part, found) {
  const one = found.outcomes;
  const missing = Number(found.missing_count) ? `, ${found.missing_count} missing` : "";
  part.setCount(`${found.candle_count} candles of ${lasts(found.cadence)}${missing}; limits ${words(one.limits)}`);
  const lead = (name) => one.leads.find((each) => each.level === `LEVEL_${name}`);
  const figures = [
    ["positions", one.position_count],
    ["liquidated", share(one.liquidated_count, one.position_count)],
    ["told HIGH", share(one.alarmed_count, one.position_count)],
    ["of those liquidated", share(one.alarmed_liquidated_count, one.alarmed_count)],
    ["told an hour ahead", share(one.told_ahead_count, one.liquidated_count)],
    ...Object.keys(COLOURS).map((name) => [`lead of ${name}, median`, lasts(lead(name).median)]),
    ["lead of HIGH, p10", lasts(lead("HIGH").p10)],
    ["alarms a week", plain(one.alarms_per_week, 2)],
    ["alarms for nothing", share(one.false_alarm_count, one.alarm_count)],
    ["nights woken a week", plain(one.nights_per_week, 2)],
  ];
  show(part.body, h("dl", { class: "facts" }, figures.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", { class: "n" }, String(value))))));
}

/** The price with the liquidation price, and each rise where it happened; the same as a list for who cannot see it. */
function showStrip(part, found) {
  const end = found.liquidated_time ? `liquidated by ${new Date(found.liquidated_time).toLocaleString()}` : "not liquidated";
  part.setCount(`entry ${price(found.entry_price_usd)}, liquidation ${price(found.liquidation_price_usd)}, ${end}; ${found.alert_count} alerts`);
  const place = h("div", { class: "chart tall", tabindex: "0", role: "group", "aria-label": "Price with the alerts of the first position" });
  const at = found.prices.map((one) => Date.parse(one.time) / 1000);
  const rises = (found.alerts ?? []).filter((one) => rank(one.level_after) > rank(one.level_before));
  const told = (name) => {
    const values = at.map(() => null);
    for (const one of rises.filter((each) => each.level_after === `LEVEL_${name}`)) {
      const row = at.findIndex((time) => time >= Date.parse(one.time) / 1000);
      if (row >= 0) values[row] = one.price_usd;
    }
    return { label: name, values, colour: COLOURS[name], width: 0, points: true };
  };
  const best = found.top_up;
  show(
    part.body,
    place,
    best ? h("p", { class: "words" }, `Best moment to add collateral: ${new Date(best.time).toLocaleString()}, at ${usd(best.price_usd)}, ${percent(best.distance_percent, 2)} away. A liquidation price beyond ${usd(best.worst_price_usd)} would have lived on.`) : null,
    alerts(found.alerts ?? []),
  );
  draw(place, {
    at,
    lines: [
      { label: "Highest", values: found.prices.map((one) => one.high_usd), colour: "faint", width: 1 },
      { label: "Lowest", values: found.prices.map((one) => one.low_usd), colour: "faint", width: 1 },
      { label: "Close", values: found.prices.map((one) => one.close_usd), colour: "accent", width: 1.6 },
      { label: "Liquidation", values: at.map(() => found.liquidation_price_usd), colour: "red", width: 1.4, dash: [4, 4] },
      ...Object.keys(COLOURS).map(told),
    ],
    bands: [[0, 1, "faint"]],
    none: "No candle.",
  });
}

const rank = (level) => ["LEVEL_NORMAL", "LEVEL_LOW", "LEVEL_MEDIUM", "LEVEL_HIGH"].indexOf(level);
const MOST_ROWS = 40;

function alerts(rows) {
  if (!rows.length) return empty("Nothing would have been told.");
  const body = rows.slice(0, MOST_ROWS).map((one) => {
    const after = code(one.level_after, "LEVEL_");
    return h("tr", {}, h("td", {}, h("time", { class: "n", datetime: one.time }, new Date(one.time).toLocaleString())), h("td", { data: { label: "Level" } }, pill(after, `level-${after}`)), h("td", { data: { label: "Told" } }, one.notified ? "told" : "only recorded"), h("td", { class: "n", data: { label: "Price" } }, price(one.price_usd)), h("td", { class: "n", data: { label: "Away" } }, percent(one.distance_percent, 2)));
  });
  const more = rows.length > MOST_ROWS ? h("p", { class: "words" }, `${rows.length - MOST_ROWS} more.`) : null;
  return h("div", {}, grid("Alerts of the first position", ["When", "Level", "Told", "Price", "Away"], body, 3), more);
}

/** From the column `figures` on there are figures. */
function grid(label, names, rows, figures = 1) {
  const head = names.map((name, place) => h("th", { scope: "col", class: place >= figures ? "n" : "" }, h("span", { class: "title" }, name)));
  return scroller(label, h("table", { class: "grid", "aria-label": label }, h("thead", {}, h("tr", {}, head)), h("tbody", {}, rows)));
}

function showCurve(part, found) {
  const points = (found.curve ?? []).map((one, place) => ({ one, isKnee: found.knee === place }));
  if (!points.length) return show(part.body, empty("No other limits were asked for."));
  part.setCount(points.some(({ isKnee }) => isKnee) ? "knee: from there on more alarms buy least further lead" : "no knee: nobody was liquidated, or all are alike");
  const place = h("div", { class: "chart", tabindex: "0", role: "group", "aria-label": "Alarms a week against median lead in hours" });
  const rows = points.map(({ one, isKnee }) => {
    const lead = one.leads.at(-1);
    return h("tr", { class: isKnee ? "knee" : "" }, h("td", {}, h("span", { class: "n" }, `HIGH at ${Number(one.limits.high)} %`), isKnee ? pill("KNEE", "level-LOW") : null), h("td", { class: "n", data: { label: "Alarms a week" } }, plain(one.alarms_per_week, 2)), h("td", { class: "n", data: { label: "Nights a week" } }, plain(one.nights_per_week, 2)), h("td", { class: "n", data: { label: "For nothing" } }, share(one.false_alarm_count, one.alarm_count)), h("td", { class: "n", data: { label: "An hour ahead" } }, share(one.told_ahead_count, one.liquidated_count)), h("td", { class: "n", data: { label: "Lead, p10" } }, lasts(lead.p10)), h("td", { class: "n", data: { label: "Lead, median" } }, lasts(lead.median)));
  });
  show(part.body, place, grid("Limits compared", ["Limits", "Alarms a week", "Nights a week", "For nothing", "An hour ahead", "Lead, p10", "Lead, median"], rows));
  const sorted = [...points].sort((a, b) => a.one.alarms_per_week - b.one.alarms_per_week);
  const hours = (name) => sorted.map(({ one }) => (one.leads.at(-1)[name] ? Number.parseFloat(one.leads.at(-1)[name]) / HOUR_SECONDS : null));
  draw(place, {
    time: false,
    across: "Alarms a week",
    at: sorted.map(({ one }) => one.alarms_per_week),
    lines: [
      { label: "Median lead, hours", values: hours("median"), colour: "accent", points: true },
      { label: "p10 of the lead, hours", values: hours("p10"), colour: "muted", points: true, dash: [4, 4] },
      { label: "Knee", values: sorted.map(({ isKnee }, row) => (isKnee ? hours("median")[row] : null)), colour: "red", width: 0, points: true },
    ],
    none: "Nothing to compare.",
  });
}
