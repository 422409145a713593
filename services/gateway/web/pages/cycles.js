// Cycles: every pass over the steps, how long each took, and two of them side by side.

import { age } from "/web/ages.js";
import { get, post } from "/web/api.js";
import { comparison } from "/web/cycles/compare.js";
import { schedule } from "/web/cycles/schedule.js";
import { strip } from "/web/cycles/steps.js";
import { streams } from "/web/cycles/streams.js";
import { h, pill, show } from "/web/dom.js";
import { code, milliseconds, span, word } from "/web/format.js";
import { setQuery, sheet } from "/web/router.js";
import { panel } from "/web/states.js";
import { keepTable, query, table } from "/web/table.js";
import { busy, say } from "/web/toast.js";

export const title = "Cycles";

const STATES = [["", "any"], ...["SUCCEEDED", "PARTIAL", "FAILED", "CANCELLED", "RUNNING", "QUEUED"].map((name) => [`CYCLE_STATE_${name}`, word(name)])];
const RUNS = new Set(["CYCLE_STATE_RUNNING", "CYCLE_STATE_QUEUED"]);

export function mount(root, { query: asked }) {
  sheet("lists");
  sheet("cycles");
  const chosen = (asked.get("compare") ?? "").split(",").filter(Boolean).slice(0, 2);
  const when = panel("Schedule", { wide: true, rows: 2, id: "schedule" });
  const listened = panel("Streams", { wide: true, rows: 1, id: "streams" });
  const beside = panel("Two side by side", { wide: true, rows: 2, id: "compare" });
  beside.node.hidden = true;
  show(beside.body);
  const part = panel(title, { wide: true, rows: 10, id: "cycles" });
  root.append(h("h1", { class: "hidden-title" }, title), when.node, listened.node, beside.node, part.node);

  const grid = table({
    name: "passes",
    columns: columns(chosen, choose, () => kept.refresh()),
    key: (cycle) => cycle.id,
    filters: [{ name: "state", label: "State", options: STATES }],
    filter: { state: asked.get("state") ?? "" },
    chosen: ({ state }) => setQuery({ state }),
    fetch: async ({ page_token, page_size, state }) => {
      const { cycles, next_page_token: next } = await get(`/v1/cycles${query({ page_token, page_size, state })}`);
      return { rows: cycles, next };
    },
    pageSize: 25,
    none: "No cycle ran yet.",
  });

  async function choose(id, is) {
    if (is) chosen.push(id);
    else chosen.splice(chosen.indexOf(id), 1);
    // A third one takes the place of the first.
    if (chosen.length > 2) {
      const [first] = chosen.splice(0, 1);
      const box = part.body.querySelector(`[data-compare="${CSS.escape(first)}"]`);
      if (box) box.checked = false;
    }
    setQuery({ compare: chosen.join(",") });
    await compare();
  }

  async function compare() {
    beside.node.hidden = chosen.length < 2;
    if (chosen.length < 2) return;
    try {
      const two = await Promise.all(chosen.map((id) => get(`/v1/cycles/${encodeURIComponent(id)}`)));
      two.sort((a, b) => Date.parse(b.created_time) - Date.parse(a.created_time));
      show(beside.body, comparison(...two));
    } catch (problem) {
      show(beside.body, h("p", { class: "failed", role: "alert" }, `Not read: ${problem.message}`));
    }
  }

  const kept = keepTable(part, grid, { every: 5000 });
  const planned = schedule(when);
  const heard = streams(listened);
  compare();
  return () => {
    kept.stop();
    planned.stop();
    heard.stop();
  };
}

function columns(chosen, choose, reload) {
  return [
    { title: "Started", cell: (cycle) => [h("a", { class: "plain-link", href: `/cycles/${encodeURIComponent(cycle.id)}` }, new Date(cycle.started_time ?? cycle.created_time).toLocaleString()), cycle.demo ? h("span", { class: "flag" }, "demo") : null] },
    { title: "State", cell: (cycle) => [pill(code(cycle.state, "CYCLE_STATE_"), `cycle-${code(cycle.state, "CYCLE_STATE_")}`), cycle.message ? h("small", {}, cycle.message) : null] },
    { title: "Asked by", cell: (cycle) => word(cycle.cause, "CAUSE_") },
    { title: "Took", numeric: true, cell: (cycle) => span(milliseconds(cycle.duration)) || (cycle.started_time ? age(cycle.started_time) : "") },
    { title: "Steps", kind: () => "whole gantt", cell: (cycle) => strip(cycle) },
    { title: "Compare", cell: (cycle) => (RUNS.has(cycle.state) ? stop(cycle, reload) : h("input", { type: "checkbox", checked: chosen.includes(cycle.id), "aria-label": `Compare ${cycle.id}`, data: { compare: cycle.id, key: `compare ${cycle.id}` }, on: { change: (event) => choose(cycle.id, event.target.checked) } })) },
  ];
}

function stop(cycle, reload) {
  const button = h("button", { type: "button", class: "second small", on: { click: () => busy(button, act) } }, "Cancel");
  const act = async () => {
    await post(`/v1/cycles/${encodeURIComponent(cycle.id)}:cancel`, {});
    say("The cycle is being stopped.");
    reload();
  };
  return button;
}
