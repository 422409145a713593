// What a person may set of a monitor; what the environment decides is shown, and waits.

import { get, patch, post } from "/web/api.js";
import { h } from "/web/dom.js";
import { open } from "/web/dialog.js";
import { checkSpan, parseSpan, toDuration, writeSpan } from "/web/durations.js";
import { form } from "/web/form.js";
import { word } from "/web/format.js";
import { say } from "/web/toast.js";

const LEVELS = [["LEVEL_UNSPECIFIED", "as the monitor has it"], ["LEVEL_NORMAL", "tells nobody"], ["LEVEL_LOW", "LOW"], ["LEVEL_MEDIUM", "MEDIUM"], ["LEVEL_HIGH", "HIGH"]];
// Without a limit of their own.
const UNLIMITED = new Set(["profit", "twilio"]);

const SPANS = [["900s", "15 min"], ["3600s", "1 h"], ["28800s", "8 h"], ["86400s", "1 day"]];

export const path = (name, verb = "") => `/v1/monitors/${encodeURIComponent(name)}${verb}`;

async function snooze(monitor, duration, took) {
  const after = await post(path(monitor.name, ":snooze"), { duration });
  took(after);
  say(after.snoozed_until_time ? `${after.name} rests until ${new Date(after.snoozed_until_time).toLocaleTimeString()}.` : `${after.name} is awake.`);
}

/** Asks for how long it shall rest. */
export function rest(monitor, took) {
  const send = async ({ duration }) => {
    await snooze(monitor, duration, took);
    dialog.close();
  };
  const made = form({ label: "Snooze", fields: [{ name: "duration", label: "It rests for", kind: "select", options: SPANS, value: "3600s" }], cancel: () => dialog.close(), act: { label: "Snooze", send } });
  const dialog = open(`Snooze ${monitor.name}`, made.node);
}

export const wakeUp = (monitor, took) => snooze(monitor, "0s", took);

export function settings(monitor, channels, took) {
  const decided = monitor.environment ?? {};
  const note = (name, help) => (name in decided ? `${decided[name]} of the environment decides; this waits behind it` : help);
  const fields = [
    { name: "interval", label: "Interval", value: writeSpan(monitor.interval), check: (text) => checkSpan(text, { least: 1 }), help: note("interval", monitor.every_cycle ? "every cycle runs it too" : "30s, 5min, 1h") },
    UNLIMITED.has(monitor.name) ? null : { name: "threshold_percent", label: "Limit", unit: "%", kind: "number", min: 0, max: 100000, value: monitor.threshold_percent, help: note("threshold_percent", "empty: as alerts judge") },
    { name: "notification_level", label: "Tells as", kind: "select", options: LEVELS, value: monitor.notification_level ?? "LEVEL_UNSPECIFIED", help: note("notification_level") },
    { name: "snooze", label: "Rests after a breach", value: writeSpan(monitor.snooze), check: (text) => checkSpan(text), help: note("snooze", "empty or 0s: not at all") },
    { name: "channels", label: "Channels", kind: "checks", options: [...new Set([...channels, ...(monitor.channels ?? [])])], value: monitor.channels, help: note("channels", "none chosen: those of the level") },
  ].filter(Boolean);
  const made = form({
    fields,
    label: `Settings of ${monitor.name}`,
    cancel: () => dialog.close(),
    act: {
      label: "Save",
      send: async (values) => {
        const spans = { interval: toDuration(parseSpan(values.interval)), snooze: toDuration(parseSpan(values.snooze) ?? 0) };
        const body = { ...values, ...spans, name: monitor.name, etag: monitor.etag };
        const after = await patch(path(monitor.name), body, fields.map(({ name }) => name));
        say(`${monitor.name}: saved; it counts from the next run on.`);
        dialog.close();
        took(after);
      },
    },
    conflict: async () => {
      dialog.close();
      settings(await get(path(monitor.name)), channels, took);
    },
  });
  const fixed = Object.keys(decided).map((name) => word(name));
  const words = fixed.length ? h("p", { class: "moved" }, `The environment decides ${fixed.join(", ")}: what is saved here counts once the variable is taken away.`) : null;
  const dialog = open(`Monitor ${monitor.name}`, [words, made.node]);
}
