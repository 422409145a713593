// Lines of the log, newest first.

import { h } from "/web/dom.js";

const KINDS = { ERROR: "loss", WARNING: "moved", INFO: "subject" };

export function eventLine(event, { withCycle = false } = {}) {
  const time = new Date(event.event_time);
  const cycle = withCycle && event.cycle_id ? h("a", { class: "cycle-link", href: `/cycles/${encodeURIComponent(event.cycle_id)}`, title: event.cycle_id }, event.cycle_id.slice(-6)) : null;
  return h(
    "li",
    { class: `event severity-${event.severity}`, data: { event: event.id } },
    h("time", { class: "n when", datetime: event.event_time, title: time.toLocaleString() }, time.toLocaleTimeString()),
    h("span", { class: `severity ${KINDS[event.severity] ?? "subject"}` }, event.severity),
    h("span", { class: "source" }, event.source),
    h("span", { class: "sentence" }, event.message),
    cycle,
  );
}
