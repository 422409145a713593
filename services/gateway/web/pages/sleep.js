// Before sleep: one answer, and each part it was made of, the gravest first.

import { get } from "/web/api.js";
import { h, pill, show } from "/web/dom.js";
import { code } from "/web/format.js";
import { setQuery, sheet } from "/web/router.js";
import { keep, panel } from "/web/states.js";

export const title = "Before sleep";

const LEVELS = { GREEN: "level-NORMAL", AMBER: "level-MEDIUM", RED: "level-HIGH" };
const WORDS = { GREEN: "You can sleep", AMBER: "Know this before you sleep", RED: "Not now" };
const HOURS = [4, 6, 8, 10, 12, 24];

const short = (verdict) => code(verdict, "SLEEP_VERDICT_");
const colour = (verdict) => pill(short(verdict), LEVELS[short(verdict)] ?? "unknown");

export function mount(root, { query: asked }) {
  sheet("lists");
  const given = Number(asked.get("hours"));
  let hours = HOURS.includes(given) ? given : 8;
  const take = (event) => {
    hours = Number(event.target.value);
    setQuery({ hours });
    kept.refresh();
  };
  const choice = h("select", { on: { change: take } }, HOURS.map((one) => h("option", { value: one, selected: one === hours }, `${one} hours`)));
  const part = panel(title, { wide: true, rows: 13, id: "sleep", tools: [h("label", { class: "line" }, h("span", {}, "for"), choice)] });
  root.append(h("h1", { class: "hidden-title" }, title), part.node);
  const kept = keep(part, () => get(`/v1/sleep?duration=${hours * 3600}s`), (answer) => {
    const verdict = h("p", { class: "verdict", role: "status" }, colour(answer.verdict), " ", WORDS[short(answer.verdict)] ?? "Not known");
    const reasons = answer.reasons.map((one) => h("li", { class: "item" }, colour(one.verdict), h("span", {}, one.message)));
    show(part.body, verdict, h("ol", { class: "items", "aria-label": "Reasons, the gravest first" }, reasons));
  });
  return () => kept.stop();
}
