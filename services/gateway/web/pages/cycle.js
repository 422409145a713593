// One cycle: its steps with their times, what it changed, and what it said.

import { age } from "/web/ages.js";
import { get } from "/web/api.js";
import { eventLine } from "/web/cycles/events.js";
import { stepTable } from "/web/cycles/steps.js";
import { empty, h, pill, show } from "/web/dom.js";
import { code, milliseconds, present, span, word } from "/web/format.js";
import { sheet } from "/web/router.js";
import { keep, panel } from "/web/states.js";

export const title = () => "Cycle";

const MOST = 200;
const ENDED_MS = 60000;

export function mount(root, { params: { id } }) {
  sheet("lists");
  sheet("cycles");
  const named = encodeURIComponent(id);
  const head = panel("Cycle", { wide: true, rows: 3, id: "cycle", tools: [h("a", { class: "second", href: `/replay?cycle=${named}` }, "Replay"), h("a", { class: "second", href: `/v1/cycles/${named}:report` }, "Report"), h("a", { class: "second", href: `/cycles?compare=${named}` }, "Compare"), h("a", { class: "second", href: "/cycles" }, "All cycles")] });
  const steps = panel("Steps", { wide: true, rows: 11, id: "steps" });
  const changes = panel("What changed", { wide: true, rows: 3, id: "changes" });
  const log = panel("Log", { wide: true, rows: 12, id: "log" });
  root.append(h("h1", { class: "hidden-title" }, `Cycle ${id}`), head.node, steps.node, changes.node, log.node);
  const every = { every: ENDED_MS };
  const kept = [
    keep(head, () => get(`/v1/cycles/${named}`), (cycle) => showCycle(head, steps, cycle), { every: 3000 }),
    keep(changes, () => get(`/v1/ledger?cycle_id=${named}&page_size=${MOST}`), (answer) => showChanges(changes, answer), every),
    keep(log, () => get(`/v1/events?cycle_id=${named}&page_size=${MOST}`), (answer) => showLog(log, answer), every),
  ];
  return () => kept.forEach((one) => one.stop());
}

function showCycle(head, steps, cycle) {
  const state = code(cycle.state, "CYCLE_STATE_");
  const fact = (label, ...value) => h("div", { class: "fact" }, h("small", {}, label), h("span", {}, value));
  const began = cycle.started_time ?? cycle.created_time;
  show(head.body, h("div", { class: "facts" }, [
    fact("state", pill(state, `cycle-${state}`), cycle.demo ? [" ", pill("DEMO", "level-LOW")] : null),
    fact("started", new Date(began).toLocaleString(), " ", age(began, { before: "(", after: " ago)" })),
    fact("took", span(milliseconds(cycle.duration)) || "runs"),
    fact("asked by", word(cycle.cause, "CAUSE_")),
    fact("id", h("span", { class: "n" }, cycle.id)),
    cycle.message ? fact("said", h("span", { class: "moved" }, cycle.message)) : null,
  ]));
  steps.setCount(`${(cycle.steps ?? []).filter((step) => step.state === "STEP_STATE_SUCCEEDED").length} of ${(cycle.steps ?? []).length} succeeded`);
  show(steps.body, stepTable(cycle));
}

function showChanges(part, { entries }) {
  part.setCount(entries.length ? `${entries.length} rows of the ledger` : "");
  const row = (entry) => {
    const [before, after] = [code(entry.level_before, "LEVEL_"), code(entry.level_after, "LEVEL_")];
    const moved = before && before !== "UNSPECIFIED" && before !== after ? `${before} → ` : "";
    return h("div", { class: "item" }, h("div", { class: "line wraps" }, h("span", { class: "n when" }, `#${entry.sequence}`), after && after !== "UNSPECIFIED" ? [h("span", { class: "subject" }, moved), pill(after, `level-${after}`)] : null, h("b", {}, word(entry.reason)), h("span", {}, word(entry.type, "ALERT_TYPE_")), h("span", { class: "subject" }, entry.subject), present(entry.value) ? h("span", { class: "n" }, String(Number(Number(entry.value).toPrecision(7)))) : null, h("span", { class: "subject" }, `by ${entry.actor}`)));
  };
  show(part.body, entries.length ? h("div", { class: "list" }, entries.map(row)) : empty("No level changed."));
}

function showLog(part, { events }) {
  part.setCount(events.length ? `${events.length} lines` : "");
  show(part.body, events.length ? h("ol", { class: "events" }, [...events].reverse().map((event) => eventLine(event))) : empty("It said nothing yet."));
}
