// Cycles: what each step took and said, and the one that runs now.

import { age } from "/web/ages.js";
import { byId, empty, fold, h, pill, show } from "/web/dom.js";
import { code, milliseconds, span, word } from "/web/format.js";

export function showCycles(place, answer) {
  show(place, answer.cycles.length ? answer.cycles.map((cycle, index) => cycleRow(cycle, index === 0)) : empty("No cycle has run yet."));
}

export function showSchedule(place, schedule) {
  const missed = Number(schedule.missed_count) ? `, ${schedule.missed_count} missed` : "";
  const text = schedule.enabled ? `every ${span(milliseconds(schedule.interval))}${missed}` : "schedule is off";
  place.textContent = text;
}

function cycleRow(cycle, first) {
  const state = code(cycle.state, "CYCLE_STATE_");
  const line = h(
    "span",
    { class: "line" },
    pill(state, `cycle-${state}`),
    h("span", { class: "subject" }, word(cycle.cause, "CAUSE_")),
    track(cycle),
    h("span", { class: "n strong" }, span(milliseconds(cycle.duration))),
    h("span", { class: "n when" }, age(cycle.ended_time ?? cycle.created_time)),
  );
  return h("article", { class: "item cycle" }, fold(first ? "newest-cycle" : cycle.id, line, () => [steps(cycle)], first));
}

/** Steps side by side, as wide as they took. */
function track(cycle) {
  return h(
    "span",
    { class: "track", "aria-hidden": "true" },
    cycle.steps.map((step) => {
      const took = milliseconds(step.duration);
      return h("i", { class: `step-${code(step.state, "STEP_STATE_")}`, title: `${word(step.name)} ${span(took)}`, style: { "--took": String(Math.max(1, took || 0)) } });
    }),
  );
}

function steps(cycle) {
  return h("ol", { class: "steps" }, cycle.steps.map(stepRow), cycle.message ? h("li", { class: "why" }, cycle.message) : null);
}

function stepRow(step) {
  const state = code(step.state, "STEP_STATE_");
  const counts = Object.entries(step.counts)
    .filter(([, number]) => Number(number) > 0)
    .sort(([one], [other]) => one.localeCompare(other))
    .map(([name, number]) => `${number} ${word(name)}`);
  return h(
    "li",
    { class: `step-${state}`, title: word(state) },
    h("i"),
    h("span", { class: "step" }, word(step.name)),
    h("span", { class: "counts" }, step.message || counts.join(", ")),
    h("span", { class: "n" }, span(milliseconds(step.duration))),
  );
}

export function showProgress(cycle, done) {
  const place = byId("progress");
  place.hidden = false;
  const state = code(cycle.state, "CYCLE_STATE_");
  const finished = cycle.steps.filter((step) => !["STEP_STATE_PENDING", "STEP_STATE_RUNNING"].includes(step.state)).length;
  const text = done ? `${word(state)} in ${span(milliseconds(cycle.duration))}` : `${finished} of ${cycle.steps.length} steps`;
  show(
    place,
    h("div", { class: "line" }, pill(state, `cycle-${state}`), h("b", {}, text), h("span", { class: "why" }, cycle.message)),
    h("ol", { class: "chain" }, cycle.steps.map((step) => h("li", { class: `step-${code(step.state, "STEP_STATE_")}`, title: word(step.state, "STEP_STATE_") }, h("i"), h("span", {}, word(step.name)), h("small", { class: "n" }, span(milliseconds(step.duration)))))),
  );
}

export function showRefusal(message) {
  const place = byId("progress");
  place.hidden = false;
  show(place, h("div", { class: "line" }, pill("FAILED", "cycle-FAILED"), h("b", {}, message)));
}
