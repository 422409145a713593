// What the touch probability of a position is now, and what it was each hour.

import { get } from "/web/api.js";
import { draw } from "/web/charts.js";
import { h, show } from "/web/dom.js";
import { percent, present } from "/web/format.js";
import { keep, panel } from "/web/states.js";

const HOURS = 168;
const HOUR_SECONDS = 3600;

/** A panel of its own: {node, stop}. `position()` reads the position. */
export function probabilityHistory(id, position) {
  const part = panel("Chance of liquidation in 24 h, 7 days", { rows: 7, id: "probability-panel" });
  const chart = h("div", { class: "chart", role: "group", tabindex: "0", "aria-label": "Chance of liquidation over time; arrow keys read its points, + and - zoom" });
  const said = () => get(`/v1/positions/${encodeURIComponent(id)}/touchProbabilities?page_size=${HOURS}`);
  const kept = keep(part, () => Promise.all([position(), said()]), ([found, { probabilities }]) => {
    if (chart.parentNode !== part.body) show(part.body, chart);
    const points = timeline(found, probabilities);
    part.setCount(words(found, points.filter(([, value]) => value !== null)));
    draw(chart, { at: points.map(([at]) => at), lines: [{ label: "chance, %", values: points.map(([, value]) => value), colour: "orange", width: 2, digits: 3, gaps: false, points: true }], none: "Nothing was said of it yet: that is done once an hour." });
  });
  return { node: part.node, stop: kept.stop };
}

/** [[seconds, percent or null]], oldest first: null stands where an hour or more is missing, so that no line crosses it. */
function timeline(found, probabilities) {
  const points = probabilities.map((one) => [Date.parse(one.stated_time) / 1000, 100 * one.probability]).reverse();
  const newest = points.at(-1)?.[0] ?? 0;
  if (present(found.liquidation_probability) && Date.parse(found.enriched_time) / 1000 > newest) points.push([Date.parse(found.enriched_time) / 1000, 100 * found.liquidation_probability]);
  const since = (points.at(-1)?.[0] ?? 0) - HOURS * HOUR_SECONDS;
  const shown = points.filter(([at]) => at >= since);
  return shown.flatMap((point, place) => (place && point[0] - shown[place - 1][0] >= 2 * HOUR_SECONDS ? [[shown[place - 1][0] + HOUR_SECONDS, null], point] : [point]));
}

function words(found, points) {
  if (!points.length) return "";
  const highest = points.reduce((most, point) => (point[1] > most[1] ? point : most));
  const now = present(found.liquidation_probability) ? `now ${percent(100 * found.liquidation_probability, 2)}` : "now not known";
  return `${now}, highest ${percent(highest[1], 2)} on ${new Date(highest[0] * 1000).toLocaleString([], { dateStyle: "short", timeStyle: "short" })}`;
}
