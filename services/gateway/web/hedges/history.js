// When groups became hedges, changed, and ended.

import { age } from "/web/ages.js";
import { get } from "/web/api.js";
import { empty, h, pill, show } from "/web/dom.js";
import { code, word } from "/web/format.js";
import { keep } from "/web/states.js";

const SHOWN = 20;

export function history(part) {
  return keep(part, () => get(`/v1/linkHistory?page_size=${SHOWN}`), ({ changes }) => show(part.body, changes.length ? h("div", { class: "list" }, changes.map(row)) : empty("No group changed yet.")));
}

function row(change) {
  const kind = code(change.kind, "LINK_CHANGE_KIND_");
  const [joined, left] = [change.joined_position_ids ?? [], change.left_position_ids ?? []];
  const members = [joined.length ? `joined ${joined.join(", ")}` : "", left.length ? `left ${left.join(", ")}` : ""].filter(Boolean).join("; ");
  const by = change.cycle_id ? h("a", { href: `/cycles/${encodeURIComponent(change.cycle_id)}` }, "in a cycle") : h("span", { class: "subject" }, "by hand");
  return h("div", { class: "item" }, h("div", { class: "line wraps" }, pill(word(kind).toUpperCase(), kind === "UNLINKED" ? "soft" : "run-SUCCESS"), h("b", {}, change.asset), h("span", { class: "subject" }, change.wallet), h("span", {}, word(change.reason, "LINK_CHANGE_REASON_")), h("span", { class: "why" }, members), by, h("span", { class: "when n" }, age(change.change_time))));
}
