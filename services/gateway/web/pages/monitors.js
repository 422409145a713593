// Monitors: the periodic checks, how fresh each is, what it found, and when it looks again.

import { age } from "/web/ages.js";
import { get, post } from "/web/api.js";
import { empty, h, keepRows, pill, show } from "/web/dom.js";
import { code, word } from "/web/format.js";
import { listen } from "/web/live.js";
import { card } from "/web/monitors/card.js";
import { sheet } from "/web/router.js";
import { keep, panel } from "/web/states.js";
import { busy, say } from "/web/toast.js";

export const title = "Monitors";

// What needs a person comes first.
const ORDER = ["HEALTH_ERROR", "HEALTH_OFFLINE", "HEALTH_WARNING", "HEALTH_UNSPECIFIED", "HEALTH_HEALTHY"];

export function mount(root) {
  sheet("lists");
  sheet("monitors");
  const cards = new Map();
  const known = { channels: [] };
  const runAll = h("button", { type: "button", class: "second", on: { click: () => busy(runAll, everything) } }, "Run what is due");
  const summary = h("span", { class: "count", id: "monitor-counts" });
  const part = panel(title, { wide: true, tools: [runAll], rows: 11, id: "monitors" });
  part.count.after(summary);
  root.append(h("h1", { class: "hidden-title" }, title), part.node);

  async function everything() {
    const { runs } = await post("/v1/monitors:run", {});
    const bad = runs.filter((run) => run.status === "RUN_STATUS_ERROR" || run.status === "RUN_STATUS_BREACH");
    say(`${runs.length} monitors ran${bad.length ? `; ${bad.map((run) => `${run.monitor} ${word(run.status, "RUN_STATUS_")}`).join(", ")}` : ", all well"}.`);
    kept.refresh();
  }

  const list = h("div", { class: "list" });

  function display({ monitors, status }) {
    const sorted = [...monitors].sort((a, b) => rank(a) - rank(b) || a.name.localeCompare(b.name));
    keepRows(list, cards, sorted, (monitor) => card(monitor, known, kept.refresh), ({ name }) => name);
    if (!sorted.length) show(part.body, empty("No monitor is registered."));
    else if (list.parentNode !== part.body) show(part.body, list);
    part.setCount(`${monitors.length}`);
    show(summary, counts(status));
  }

  const kept = keep(part, read, display);
  const close = listen("/v1/monitors:watch", ({ monitors }) => {
    for (const monitor of monitors) cards.get(monitor.name)?.take(monitor);
  });
  get("/v1/channels").then(({ channels }) => (known.channels = channels.map((one) => one.name)), () => {});
  return () => {
    kept.stop();
    close();
  };
}

const rank = (monitor) => (monitor.resting_reason ? ORDER.length : ORDER.indexOf(monitor.health));

async function read() {
  const [{ monitors }, status] = await Promise.all([get("/v1/monitors"), get("/v1/monitors:status")]);
  return { monitors, status };
}

function counts(status) {
  const parts = [["healthy", status.healthy_count, "well"], ["warning", status.warning_count, "warning"], ["failed", status.error_count, "ill"], ["late or never ran", status.offline_count, "off"], ["resting", status.resting_count, "off"]];
  const dots = parts.filter(([, count]) => Number(count)).map(([name, count, kind]) => h("span", { class: `dot ${kind}` }, h("i"), h("small", {}, `${count} ${name}`)));
  const level = code(status.level, "LEVEL_");
  const badge = level && level !== "NORMAL" ? pill(level, `level-${level}`) : null;
  const last = status.last_cycle_time ? h("small", {}, "last cycle ", age(status.last_cycle_time, { coloured: true }), " ago") : h("small", { class: "absent" }, "no cycle called yet");
  const open = Number(status.incident_count) ? h("small", {}, `${status.incident_count} open concerns`) : null;
  const waiting = Number(status.waiting_count) ? h("small", { class: "trouble" }, `${status.waiting_count} notices wait to be handed over`) : null;
  return [dots, badge, open, waiting, last];
}
