// The steps of a cycle on one time axis, and what each counted.

import { h, pill, scroller } from "/web/dom.js";
import { code, milliseconds, span, word } from "/web/format.js";

const began = (step) => (step.started_time ? Date.parse(step.started_time) : NaN);

/** [{step, from, took}] in milliseconds since the first one began, and the length of all. */
export function timed(cycle) {
  const steps = cycle.steps ?? [];
  const start = Math.min(...steps.map(began).filter(Number.isFinite));
  const rows = steps.map((step) => ({ step, from: began(step) - start, took: milliseconds(step.duration) }));
  const length = Math.max(1, ...rows.map(({ from, took }) => (Number.isFinite(from) ? from + (took || 0) : 0)));
  return { rows, length };
}

/** A line of all steps, each where and as long as it ran; parallel ones lie over one another. */
export function strip(cycle) {
  const { rows, length } = timed(cycle);
  const bars = rows.filter(({ from }) => Number.isFinite(from)).map(({ step, from, took }) => h("i", { class: stateOf(step), title: `${word(step.name)}: ${span(took) || "runs"}`, style: { "--from": `${(100 * from) / length}%`, "--long": `${Math.max(0.6, (100 * (took || 0)) / length)}%` } }));
  return h("div", { class: "strip", role: "img", "aria-label": `${rows.length} steps` }, bars);
}

const stateOf = (step) => `step-${code(step.state, "STEP_STATE_")}`;

export function stepTable(cycle) {
  const { rows, length } = timed(cycle);
  const row = ({ step, from, took }) => {
    const state = code(step.state, "STEP_STATE_");
    const bar = Number.isFinite(from) ? h("div", { class: "strip" }, h("i", { class: stateOf(step), style: { "--from": `${(100 * from) / length}%`, "--long": `${Math.max(0.6, (100 * (took || 0)) / length)}%` } })) : null;
    return h(
      "tr",
      {},
      h("td", {}, word(step.name), Number(step.attempt) > 1 ? h("small", {}, ` try ${step.attempt}`) : null),
      h("td", { data: { label: "State" } }, pill(state, `cycle-${state}`)),
      h("td", { class: "n", data: { label: "Took" } }, span(took)),
      h("td", { class: "whole gantt", data: { label: "When" } }, bar),
      h("td", { data: { label: "Counted" }, class: "whole" }, counts(step.counts), step.message ? h("small", { class: "moved" }, `${step.reason ? `${word(step.reason)}: ` : ""}${step.message}`) : null),
    );
  };
  const head = ["Step", "State", "Took", "When", "Counted"].map((name) => h("th", { scope: "col", class: name === "Took" ? "n" : "" }, h("span", { class: "title" }, name)));
  return scroller("Steps", h("table", { class: "grid", "aria-label": "Steps" }, h("thead", {}, h("tr", {}, head)), h("tbody", {}, rows.map(row))));
}

export function counts(found = {}) {
  return Object.entries(found).sort(([a], [b]) => a.localeCompare(b)).map(([name, count]) => h("span", { class: "counted" }, h("small", {}, word(name)), h("span", { class: Number(count) ? "n" : "n zero" }, String(count))));
}
