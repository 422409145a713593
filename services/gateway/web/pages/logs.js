// Logs: what the cycles and services say, as it comes, newest first.

import { get } from "/web/api.js";
import { eventLine } from "/web/cycles/events.js";
import { empty, h, show } from "/web/dom.js";
import { setQuery, sheet } from "/web/router.js";
import { keep, panel } from "/web/states.js";
import { query } from "/web/table.js";
import { busy } from "/web/toast.js";

export const title = "Logs";

const LEVELS = [["", "any level"], ["ERROR", "ERROR"], ["WARNING", "WARNING"], ["INFO", "INFO"]];
const PAGE = 200;
const EVERY_MS = 2000;
// A page that follows for a night grows no further.
const MOST_LINES = 1000;

export function mount(root, { query: asked }) {
  sheet("lists");
  sheet("cycles");
  const wanted = Object.fromEntries(["severity", "source", "text", "cycle_id"].map((name) => [name, asked.get(name) ?? ""]));
  const lines = h("ol", { class: "events", "aria-label": "Lines, newest first" });
  const nothing = h("div", { hidden: true }, empty("No line fits."));
  const older = h("button", { type: "button", class: "second", on: { click: () => busy(older, more) } }, "Older lines");
  const hold = h("input", { type: "checkbox", on: { change: () => hold.checked || kept.refresh() } });
  const part = panel(title, { wide: true, rows: 16, id: "logs", tools: [h("label", { class: "line" }, hold, h("span", {}, "hold still"))] });
  root.append(h("h1", { class: "hidden-title" }, title), part.node);
  let last = 0;
  let next = "";
  let asking = 0;

  const filters = h("div", { class: "filters", role: "search" }, field("severity", "Level", LEVELS), field("source", "Source"), field("text", "Text"), field("cycle_id", "Cycle"));

  function field(name, label, options = null) {
    let timer = 0;
    const take = (event) => {
      clearTimeout(timer);
      const value = event.target.value.trim();
      timer = setTimeout(() => choose(name, value), options ? 0 : 300);
    };
    const input = options ? h("select", { on: { change: take } }, options.map(([value, text]) => h("option", { value, selected: value === wanted[name] }, text))) : h("input", { type: "search", value: wanted[name], placeholder: "any", autocomplete: "off", on: { input: take } });
    return h("label", {}, h("span", {}, label), input);
  }

  function choose(name, value) {
    wanted[name] = value;
    setQuery(wanted);
    last = 0;
    asking += 1;
    kept.refresh();
  }

  /** After the first page only what came since is asked for. */
  async function read() {
    const mine = asking;
    if (hold.checked && last) return null;
    const answer = await get(`/v1/events${query({ ...wanted, page_size: PAGE, after_id: last || "" })}`);
    return mine === asking ? { ...answer, since: last } : null;
  }

  function display(answer) {
    if (answer === null) return;
    if (lines.parentNode !== part.body) show(part.body, filters, lines, nothing, h("div", { class: "pages" }, older));
    const fresh = answer.events.map((event) => eventLine(event, { withCycle: true }));
    if (answer.since) lines.prepend(...fresh);
    else {
      show(lines, fresh);
      next = answer.next_page_token ?? "";
    }
    while (lines.childElementCount > MOST_LINES) lines.lastElementChild.remove();
    last = Math.max(last, ...answer.events.map((event) => Number(event.id)));
    nothing.hidden = lines.childElementCount > 0;
    older.hidden = next === "";
    part.setCount(`${lines.childElementCount} lines`);
  }

  async function more() {
    const answer = await get(`/v1/events${query({ ...wanted, page_size: PAGE, page_token: next })}`);
    lines.append(...answer.events.map((event) => eventLine(event, { withCycle: true })));
    next = answer.next_page_token ?? "";
    older.hidden = next === "";
    part.setCount(`${lines.childElementCount} lines`);
  }

  const kept = keep(part, read, display, { every: EVERY_MS });
  return kept.stop;
}
