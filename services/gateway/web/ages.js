// Ages that grow by themselves: every element with data-time is written anew each second.

import { h } from "/web/dom.js";
import { ageBand, ageSeconds, seconds } from "/web/format.js";

/** The age of a moment; `coloured` adds the band of fresh and old data. */
export function age(time, { coloured = false, before = "", after = "" } = {}) {
  if (!time) return h("span", { class: "absent", title: "never" }, "never");
  const title = new Date(time).toLocaleString();
  const made = h("time", { class: "age", title, data: { time, before, after, coloured: coloured ? "yes" : "" } });
  write(made);
  return made;
}

function write(node) {
  const passed = ageSeconds(node.dataset.time);
  const ahead = passed < 0 ? "in " : "";
  node.textContent = `${node.dataset.before}${ahead}${seconds(Math.abs(passed))}${node.dataset.after}`;
  if (node.dataset.coloured) node.className = `age band-${ageBand(passed)}`;
}

export function keepAging() {
  setInterval(() => document.querySelectorAll("[data-time]").forEach(write), 1000);
}
