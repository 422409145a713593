// Where prices come from: whether each may be asked, how it answered last, what went wrong.

import { age } from "/web/ages.js";
import { get } from "/web/api.js";
import { empty, h, pill, show } from "/web/dom.js";
import { code, milliseconds, span, word } from "/web/format.js";
import { keep } from "/web/states.js";

const KINDS = { READY: "run-SUCCESS", PAUSED: "level-MEDIUM", DISABLED: "soft" };

export function sources(part) {
  const display = ({ sources: rows }) => {
    const on = rows.filter((one) => one.enabled);
    part.setCount(`${on.length} of ${rows.length} are asked`);
    const off = rows.filter((one) => !one.enabled);
    show(part.body, rows.length ? h("div", { class: "list" }, on.map(row), off.length ? h("p", { class: "words" }, `Not asked: ${off.map((one) => one.source).join(", ")}. PRICE_SOURCES names those that are.`) : null) : empty("No source is known."));
  };
  return keep(part, () => get("/v1/price-sources"), display);
}

function row(source) {
  const state = code(source.state, "SOURCE_STATE_");
  const never = !source.last_answer_time && !source.last_failure_time;
  return h(
    "article",
    { class: "item", data: { source: source.source } },
    h("div", { class: "line wraps" }, h("b", {}, source.source), pill(state, KINDS[state] ?? "soft"), never ? h("span", { class: "subject" }, "not asked since the start") : null, source.last_answer_time ? h("span", { class: "subject" }, "answered ", age(source.last_answer_time, { after: " ago" }), source.latency ? ` in ${span(milliseconds(source.latency))}` : "") : null, source.calls_left === undefined ? null : h("span", { class: "when n" }, `${source.calls_left} calls left`)),
    h("div", { class: "line below wraps" }, h("span", { class: "subject" }, (source.assets ?? []).join(" ")), Number(source.failure_count) ? h("span", { class: "moved" }, `${source.failure_count} failures of ${Number(source.failure_count) + Number(source.answer_count)}`) : null),
    source.last_failure ? h("p", { class: "moved" }, `${word(source.last_failure)}: ${source.last_failure_message} `, age(source.last_failure_time, { after: " ago" })) : null,
  );
}
