// Two cycles side by side: step by step, what took longer and what counted otherwise.

import { h, scroller } from "/web/dom.js";
import { code, milliseconds, signed, span, word } from "/web/format.js";

/** Newer and older as read. */
export function comparison(newer, older) {
  const before = new Map((older.steps ?? []).map((step) => [step.name, step]));
  const names = [...new Set([...(newer.steps ?? []), ...(older.steps ?? [])].map((step) => step.name))];
  const after = new Map((newer.steps ?? []).map((step) => [step.name, step]));
  const row = (name) => {
    const [now, was] = [after.get(name), before.get(name)];
    const [a, b] = [milliseconds(was?.duration), milliseconds(now?.duration)];
    return h(
      "tr",
      {},
      h("td", {}, word(name)),
      cell("Older", was ? span(a) : "not run"),
      cell("Newer", now ? span(b) : "not run"),
      cell("Difference", Number.isFinite(a) && Number.isFinite(b) ? difference(b - a) : ""),
      h("td", { class: "whole", data: { label: "Changed" } }, changed(was, now)),
    );
  };
  const head = ["Step", "Older", "Newer", "Difference", "Changed"].map((name, place) => h("th", { scope: "col", class: place && place < 4 ? "n" : "" }, h("span", { class: "title" }, name)));
  const whole = h("p", { class: "words" }, link("Older", older), " · ", link("Newer", newer));
  return [whole, scroller("Comparison", h("table", { class: "grid", "aria-label": "Comparison" }, h("thead", {}, h("tr", {}, head)), h("tbody", {}, names.map(row))))];
}

const cell = (label, text) => h("td", { class: "n", data: { label } }, text);

function link(label, cycle) {
  const when = cycle.started_time ?? cycle.created_time;
  return h("span", {}, `${label}: `, h("a", { href: `/cycles/${encodeURIComponent(cycle.id)}` }, new Date(when).toLocaleString()), ` ${word(cycle.state, "CYCLE_STATE_")} in ${span(milliseconds(cycle.duration))}`);
}

function difference(ms) {
  const text = span(Math.abs(ms));
  return h("span", { class: ms > 0 ? "moved" : "subject" }, ms < 0 ? `−${text}` : signed(ms, text));
}

function changed(was, now) {
  if (!was || !now) return null;
  const [a, b] = [code(was.state, "STEP_STATE_"), code(now.state, "STEP_STATE_")];
  const state = a === b ? null : h("span", { class: "counted moved" }, `${word(a)} → ${word(b)}`);
  const names = [...new Set([...Object.keys(was.counts ?? {}), ...Object.keys(now.counts ?? {})])].sort();
  const counts = names.filter((name) => String(was.counts?.[name] ?? 0) !== String(now.counts?.[name] ?? 0));
  return [state, counts.map((name) => h("span", { class: "counted" }, h("small", {}, word(name)), h("span", { class: "n" }, `${was.counts?.[name] ?? 0} → ${now.counts?.[name] ?? 0}`)))];
}
