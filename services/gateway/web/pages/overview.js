// The overview: totals, positions with their bars, and what the services last said.

import { get } from "/web/api.js";
import { onCycle } from "/web/cycle_feed.js";
import { showCycles, showSchedule } from "/web/cycles.js";
import { byId, h } from "/web/dom.js";
import { isJudged, isNews, showAlerts, showChannels, showDeliveries, showHedges, showMonitors } from "/web/lists.js";
import { markPositions, showPositions } from "/web/positions.js";
import { showTotals } from "/web/totals.js";

export const title = "Overview";

const REFETCH_MS = 20000;

// What is fetched, where it is shown, and which part of the page is marked when it fails.
const SOURCES = [
  ["/v1/totals", (answer) => showTotals(byId("totals"), answer), "totals"],
  ["/v1/positions?page_size=500", showPositions, "positions-panel"],
  ["/v1/alerts?page_size=500", (answer) => (showAlerts(answer), markPositions(answer.alerts.filter((alert) => isJudged(alert) && !isNews(alert)), null)), "alerts-panel"],
  ["/v1/hedges?page_size=100", (answer) => (showHedges(answer), markPositions(null, answer.hedges)), "hedges-panel"],
  ["/v1/monitors", showMonitors, "monitors-panel"],
  ["/v1/deliveries?page_size=8", showDeliveries, "deliveries-panel"],
  ["/v1/channels", showChannels, null],
  ["/v1/cycles?page_size=8", showCycles, "cycles-panel"],
  ["/v1/schedule", showSchedule, null],
];

export function mount(root) {
  root.append(...parts());
  let over = false;
  const refresh = () => Promise.all(SOURCES.map((source) => fetchOne(source, () => over)));
  refresh();
  const stop = onCycle(refresh);
  const timer = setInterval(() => document.hidden || refresh(), REFETCH_MS);
  return () => {
    over = true;
    stop();
    clearInterval(timer);
  };
}

function parts() {
  const positions = h("div", { class: "scroll" }, h("table", { class: "positions" }, h("thead", {}, h("tr", { id: "positions-head" })), h("tbody", { id: "positions" })));
  return [
    h("h1", { class: "hidden-title" }, "Overview"),
    h("section", { id: "totals", class: "totals", "aria-label": "Totals" }),
    part("positions", "Positions", positions, "panel wide"),
    h("div", { class: "column" }, part("alerts", "Alerts")),
    h("div", { class: "column" }, part("hedges", "Hedges"), part("monitors", "Monitors"), part("cycles", "Cycles", null, "panel", h("span", { id: "next-cycle", class: "count" })), part("deliveries", "Deliveries", null, "panel", h("span", { id: "channels", class: "channels" }))),
  ];
}

function part(name, text, body = null, kind = "panel", beside = null) {
  const head = h("div", { class: "head" }, h("h2", { id: `${name}-title` }, text), h("span", { class: "count", data: { count: "" } }), beside, h("span", { class: "trouble", data: { trouble: "" }, hidden: true }));
  return h("section", { id: `${name}-panel`, class: kind, tabindex: "-1", "aria-labelledby": `${name}-title` }, head, body ?? h("div", { id: name, class: "list" }));
}

async function fetchOne([path, display, place], over) {
  try {
    const answer = await get(path);
    if (over()) return;
    display(answer);
    markOld(place, null);
  } catch (problem) {
    if (!over()) markOld(place, problem);
  }
}

/** A part whose service does not answer keeps its last figures, and says that they are old. */
function markOld(place, problem) {
  if (!place) return;
  const whole = byId(place);
  whole.classList.toggle("old", problem !== null);
  const words = whole.querySelector("[data-trouble]");
  if (!words) return;
  words.hidden = problem === null;
  words.textContent = problem === null ? "" : `old: ${problem.message}`;
}
