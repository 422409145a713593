// The states of a part of a page: first load, empty, error, and figures that are old because a service is down.

import { onCycle } from "/web/cycle_feed.js";
import { h, show } from "/web/dom.js";

// Deliveries and edits move between cycles too.
const REFETCH_MS = 20000;

let made = 0;

/**
 * A part of a page with a heading: {node, head, body, count, setCount(text)}. `wide` takes the whole width; what stands
 * in `tools` is put at the right of the heading. Room is kept for `rows` rows, so that nothing jumps.
 */
export function panel(title, { wide = false, tools = [], rows = 2, id = `panel-${++made}` } = {}) {
  const count = h("span", { class: "count", data: { count: "" } });
  const trouble = h("span", { class: "trouble", role: "status" });
  const head = h("div", { class: "head" }, h("h2", { id: `${id}-title` }, title), count, trouble, tools.length ? h("div", { class: "tools" }, tools) : null);
  const body = h("div", { class: "body" }, h("p", { class: "empty loading" }, "Loading …"));
  body.style.setProperty("--rows", String(rows));
  const node = h("section", { class: `panel${wide ? " wide" : ""}`, id, tabindex: "-1", "aria-labelledby": `${id}-title` }, head, body);
  return { node, head, body, count, trouble, setCount: (text) => (count.textContent = text) };
}

/**
 * Keeps a panel true: `fetch()` at once, after every cycle and now and then; `display(answer)` writes the body.
 * What cannot be read keeps its last figures, grey, with the words since when and why; before the first answer the
 * failure itself is shown with a button to try again. `after`: a promise that the first look waits for, so that what
 * matters more is there sooner. Returns {refresh, stop, first}: the promise of the first look, however it ended.
 */
export function keep(part, fetch, display, { every = REFETCH_MS, after = null } = {}) {
  let asked = 0;
  let since = null;
  let shown = false;
  let over = false;
  let running = null;
  let waiting = null;
  // One question at a time: whoever asks meanwhile gets an answer that was asked for afterwards.
  const refresh = () => {
    if (running) return (waiting ??= running.then(() => ((waiting = null), refresh())));
    running = once().finally(() => (running = null));
    return running;
  };
  const once = async () => {
    const mine = ++asked;
    try {
      const answer = await fetch();
      if (over || mine !== asked) return;
      display(answer);
      shown = true;
      since = null;
      mark(part, "");
    } catch (problem) {
      if (over || mine !== asked) return;
      since ??= new Date();
      if (shown) mark(part, `old, since ${since.toLocaleTimeString()}: ${problem.message}`);
      else fail(part, problem, refresh);
    }
  };
  const first = after ? after.then(() => (over ? undefined : refresh())) : refresh();
  const stopFeed = onCycle(refresh);
  const timer = every ? setInterval(() => document.hidden || refresh(), every) : 0;
  const stop = () => {
    over = true;
    stopFeed();
    clearInterval(timer);
  };
  return { refresh, stop, first };
}

function mark(part, words) {
  part.node.classList.toggle("old", words !== "");
  part.trouble.textContent = words;
}

function fail(part, problem, again) {
  const button = h("button", { type: "button", class: "second", on: { click: again } }, "Try again");
  show(part.body, h("div", { class: "failed", role: "alert" }, h("p", {}, `Not read: ${problem.message}`), button));
}
