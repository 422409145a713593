// One monitor: how it stands, what it found at its last runs, and what a person can do with it.

import { age } from "/web/ages.js";
import { get, patch, post } from "/web/api.js";
import { empty, h, pill, show } from "/web/dom.js";
import { spanWords } from "/web/durations.js";
import { code, milliseconds, span, word } from "/web/format.js";
import { path, rest, settings, wakeUp } from "/web/monitors/settings.js";
import { busy, say } from "/web/toast.js";

const HEALTH = { HEALTH_HEALTHY: "well", HEALTH_WARNING: "warning", HEALTH_ERROR: "ill", HEALTH_OFFLINE: "off" };
const SHOWN_RUNS = 10;

/** {node, take(monitor)} */
export function card(first, known, reload) {
  let held = first;
  const dot = h("i");
  const light = h("span", { class: "dot" }, dot);
  const [outcome, found, facts] = [h("span"), h("span", { class: "why" }), h("div", { class: "line below wraps" })];
  const enabled = h("input", { type: "checkbox", "aria-label": `${first.name} runs`, on: { change: () => busy(enabled, switchIt) } });
  const button = (text, act) => h("button", { type: "button", class: "second small", "aria-label": `${text} ${first.name}`, on: { click: (event) => busy(event.currentTarget, async () => act()) } }, text);
  const [run, edit] = [button("Run now", runNow), button("Settings", () => settings(held, known.channels, took))];
  const [snooze, wake] = [button("Snooze", () => rest(held, took)), button("Wake", () => wakeUp(held, took))];
  const runs = h("div", { class: "runs" });
  const ledger = h("details", {}, h("summary", { data: { key: `runs ${first.name}` } }, "Last runs"), runs);
  ledger.addEventListener("toggle", () => ledger.open && readRuns());
  const name = h("b", { title: first.description }, first.name);
  const node = h(
    "article",
    { class: "item monitor", data: { monitor: first.name } },
    h("div", { class: "line wraps" }, enabled, light, name, outcome, h("span", { class: "row-acts" }, run, snooze, wake, edit)),
    h("p", { class: "about" }, first.description, first.origin ? h("small", {}, ` from ${first.origin}`) : null),
    found,
    facts,
    ledger,
  );
  let readRun = "";

  function took(monitor) {
    take(monitor);
    reload();
  }

  async function switchIt() {
    try {
      took(await patch(path(held.name), { name: held.name, enabled: enabled.checked, etag: held.etag }, ["enabled"]));
      say(`${held.name} ${held.enabled ? "runs" : "runs no more"}.`);
    } finally {
      enabled.checked = held.enabled;
    }
  }

  async function runNow() {
    const made = await post(path(held.name, ":run"), { force: true });
    say(`${held.name}: ${word(made.status, "RUN_STATUS_")} in ${span(milliseconds(made.duration))}${made.error ? `, ${made.error}` : ""}.`);
    took(await get(path(held.name)));
  }

  async function readRuns() {
    readRun = held.last_run?.id ?? "none";
    try {
      const { runs: rows } = await get(`/v1/monitorRuns?monitor=${encodeURIComponent(held.name)}&page_size=${SHOWN_RUNS}`);
      show(runs, rows.length ? rows.map(runRow) : empty("It has not run yet."));
    } catch (problem) {
      show(runs, h("p", { class: "trouble" }, `Not read: ${problem.message}`));
    }
  }

  function take(monitor) {
    held = monitor;
    const last = monitor.last_run ?? {};
    const status = code(last.status, "RUN_STATUS_");
    light.className = `dot ${monitor.resting_reason ? "off" : (HEALTH[monitor.health] ?? "off")}`;
    light.title = monitor.resting_reason ? word(monitor.resting_reason) : word(monitor.health, "HEALTH_");
    wake.hidden = !monitor.snoozed_until_time;
    enabled.checked = monitor.enabled;
    // Of what the environment decides nothing can be changed here.
    enabled.disabled = "enabled" in (monitor.environment ?? {});
    enabled.title = enabled.disabled ? `set by ${monitor.environment.enabled}` : "";
    show(outcome, status ? pill(status, `run-${status}`) : idle(monitor) ? null : pill("NEVER RAN", "soft"), monitor.incident_open ? pill("TOLD", "state-old") : null, monitor.resting_reason ? pill(code(monitor.resting_reason, "").replaceAll("_", " "), "soft") : null);
    show(found, last.error ? h("span", { class: status === "ERROR" ? "loss" : "" }, last.error) : summary(last.metadata_json));
    show(facts, times(monitor, last), fixed(monitor.environment));
    if (ledger.open && String(last.id ?? "none") !== String(readRun)) readRuns();
  }

  take(first);
  return { node, take };
}

/** Whether there is nothing that it could check. */
const idle = (monitor) => monitor.resting_reason === "NOT_CONFIGURED";

function times(monitor, last) {
  const next = !monitor.enabled ? null : monitor.every_cycle ? "every cycle" : monitor.next_run_time ? age(monitor.next_run_time, { before: "next " }) : "due now";
  const until = monitor.snoozed_until_time ? h("span", { class: "moved" }, age(monitor.snoozed_until_time, { before: "wakes " })) : null;
  return [
    h("span", { class: "subject" }, last.started_time ? ["ran ", age(last.started_time, { after: " ago" }), last.duration ? `, took ${span(milliseconds(last.duration))}` : ""] : idle(monitor) ? "nothing to check here; its last runs say why" : "never ran"),
    next ? h("span", { class: "subject" }, next) : null,
    monitor.interval ? h("span", { class: "subject" }, `interval ${spanWords(monitor.interval)}`) : null,
    until,
  ];
}

/** What an environment variable decides waits for no edit. */
function fixed(environment = {}) {
  const names = Object.entries(environment);
  return names.length ? h("span", { class: "flag" }, names.map(([field, variable]) => `${word(field)} set by ${variable}`).join(", ")) : null;
}

function parsed(text) {
  try {
    return JSON.parse(text || "{}");
  } catch {
    return {};
  }
}

/** The plain figures of a run in a line; the rest stands in its row. */
function summary(text) {
  const facts = Object.entries(parsed(text)).filter(([, value]) => ["number", "string", "boolean"].includes(typeof value) && value !== "");
  const written = facts.slice(0, 5).map(([name, value]) => `${word(name)} ${typeof value === "number" ? Number(value.toPrecision(6)) : value}`);
  return written.join(" · ");
}

function runRow(run) {
  const status = code(run.status, "RUN_STATUS_");
  const content = parsed(run.metadata_json);
  const cycle = run.cycle_id ? h("a", { href: `/cycles/${encodeURIComponent(run.cycle_id)}` }, run.cycle_id) : h("span", { class: "subject" }, "by hand");
  const metadata = Object.keys(content).length ? h("pre", { class: "code" }, JSON.stringify(content, null, 1)) : null;
  return h(
    "div",
    { class: "run" },
    h("div", { class: "line wraps" }, pill(status, `run-${status}`), h("time", { class: "when", datetime: run.started_time }, new Date(run.started_time).toLocaleTimeString()), h("span", { class: "n subject" }, span(milliseconds(run.duration))), cycle, run.error ? h("span", { class: "why" }, run.error) : null),
    metadata,
  );
}
