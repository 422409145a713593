// The ways to reach people: whether each can be trusted, what is missing, a test, quiet hours.

import { age } from "/web/ages.js";
import { get, patch, post } from "/web/api.js";
import { h, pill, show } from "/web/dom.js";
import { open } from "/web/dialog.js";
import { form } from "/web/form.js";
import { word } from "/web/format.js";
import { keep } from "/web/states.js";
import { busy, say, warn } from "/web/toast.js";

const HEALTH = { CHANNEL_HEALTH_PROVEN: ["PROVEN", "run-SUCCESS"], CHANNEL_HEALTH_UNPROVEN: ["UNPROVEN", "level-LOW"], CHANNEL_HEALTH_FAILING: ["FAILING", "level-MEDIUM"], CHANNEL_HEALTH_DEAD: ["DEAD", "run-ERROR"], CHANNEL_HEALTH_OFF: ["OFF", "soft"] };
// Of what can be given here; the secrets of the others come from the environment alone.
const ADDRESSED = new Set(["email", "sms", "voice", "webhook", "ntfy"]);

export function channels(part) {
  const display = ({ channels: rows }) => {
    const ready = rows.filter((one) => one.configured && one.enabled);
    part.setCount(`${ready.length} of ${rows.length} are set`);
    const sorted = [...ready, ...rows.filter((one) => !ready.includes(one))];
    show(part.body, h("div", { class: "channels-grid" }, sorted.map((one) => row(one, kept.refresh))));
  };
  const kept = keep(part, () => get("/v1/channels"), display);
  return kept;
}

const path = (name, verb = "") => `/v1/channels/${encodeURIComponent(name)}${verb}`;

function row(channel, reload) {
  const [label, kind] = HEALTH[channel.health] ?? ["?", "soft"];
  const test = h("button", { type: "button", class: "second small", data: { key: `test ${channel.name}` }, on: { click: () => busy(test, () => tried(channel, reload)) } }, "Test");
  const edit = h("button", { type: "button", class: "second small", data: { key: `set ${channel.name}` }, on: { click: () => settings(channel, reload) } }, "Settings");
  const missing = channel.missing_settings ?? [];
  return h(
    "article",
    { class: `channel ${channel.configured ? "" : "unset"}`, data: { channel: channel.name } },
    h("div", { class: "line" }, h("b", {}, channel.name), pill(label, kind), channel.quiet_now ? pill("QUIET NOW", "state-old") : null, h("span", { class: "row-acts" }, channel.configured ? test : null, edit)),
    channel.configured ? h("p", { class: "subject whole" }, channel.destination || "no destination of its own") : h("p", { class: "subject whole" }, "needs ", missing.join(", ") || "its settings"),
    h("p", { class: "lines" }, facts(channel)),
    channel.last_error ? h("p", { class: "loss whole" }, channel.last_error, " ", age(channel.last_error_time, { after: " ago" })) : null,
  );
}

function facts(channel) {
  const line = [
    channel.verified_time ? h("span", {}, "verified ", age(channel.verified_time, { after: " ago" })) : channel.configured ? h("span", { class: "moved" }, "never verified") : null,
    channel.last_sent_time ? h("span", {}, "sent ", age(channel.last_sent_time, { after: " ago" })) : null,
    Number(channel.queued_count) ? h("span", {}, `${channel.queued_count} waiting`) : null,
    Number(channel.dead_count) ? h("span", { class: "loss" }, `${channel.dead_count} given up`) : null,
    channel.quiet_hours ? h("span", {}, `quiet ${hours(channel.quiet_hours)}`) : null,
    channel.destination_source === "SETTING_SOURCE_ENVIRONMENT" ? h("span", {}, "set by the environment") : null,
  ].filter(Boolean);
  return h("small", { class: "line below wraps" }, line);
}

const clock = (minute) => `${String(Math.floor(minute / 60)).padStart(2, "0")}:${String(minute % 60).padStart(2, "0")}`;
export const hours = (quiet) => `${clock(quiet.start_minute ?? 0)}-${clock(quiet.end_minute ?? 0)} ${quiet.time_zone || "UTC"}`;

async function tried(channel, reload) {
  const { ok, provider_status: told } = await post(path(channel.name, ":test"), {});
  if (ok) say(`${channel.name}: accepted the test${told ? ` (${told})` : ""}.`);
  else warn(`${channel.name} did not accept the test: ${told || "it gave no reason"}`);
  reload();
}

const minutes = (text) => {
  const [hour, minute] = text.split(":").map(Number);
  return 60 * hour + minute;
};
const TIME = /^([01]?\d|2[0-3]):[0-5]\d$/;
const checkTime = (text) => (text && !TIME.test(text) ? "is a time of day: 22:00" : undefined);

function settings(channel, reload) {
  const quiet = channel.quiet_hours;
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const fixed = channel.destination_source === "SETTING_SOURCE_ENVIRONMENT";
  const fields = [
    { name: "enabled", kind: "check", label: "May be used", value: channel.enabled },
    ADDRESSED.has(channel.name) && !fixed ? { name: "destination", label: "Destination", placeholder: channel.destination, help: "empty: as it is now" } : null,
    { name: "start", label: "Quiet from", value: quiet ? clock(quiet.start_minute ?? 0) : "", placeholder: "22:00", check: (text, all) => checkTime(text) ?? (!text && all.end ? "is needed with an end" : undefined), help: "LOW and MEDIUM wait; HIGH never does" },
    { name: "end", label: "Quiet until", value: quiet ? clock(quiet.end_minute ?? 0) : "", placeholder: "07:00", check: (text, all) => checkTime(text) ?? (!text && all.start ? "is needed with a start" : undefined) },
    { name: "zone", label: "Time zone", value: quiet ? quiet.time_zone || "UTC" : zone },
    { name: "quiet_budget_count", label: "LOW and MEDIUM at most", kind: "number", min: 1, max: 1000, step: 1, value: channel.quiet_budget_count, help: "in the budget's window; the rest is one digest. Empty: as configured" },
  ].filter(Boolean);
  const made = form({
    fields,
    label: `Settings of ${channel.name}`,
    cancel: () => dialog.close(),
    act: {
      label: "Save",
      send: async (values) => {
        const body = { name: channel.name, enabled: values.enabled, quiet_budget_count: values.quiet_budget_count, etag: channel.etag };
        if (values.start) body.quiet_hours = { start_minute: minutes(values.start), end_minute: minutes(values.end), time_zone: values.zone };
        const mask = ["enabled", "quiet_hours", "quiet_budget_count"];
        if (values.destination) (body.destination = values.destination), mask.push("destination");
        await patch(path(channel.name), body, mask);
        say(`${channel.name}: saved.`);
        await reload();
        dialog.close();
      },
    },
    conflict: async () => {
      dialog.close();
      const { channels: now } = await get("/v1/channels");
      settings(now.find((one) => one.name === channel.name) ?? channel, reload);
    },
  });
  const words = fixed ? h("p", { class: "moved" }, "Its destination is set by the environment, which wins over what is stored.") : null;
  const secrets = channel.configured ? null : h("p", {}, `Needs ${(channel.missing_settings ?? []).join(", ")} in the environment: secrets are never given here. `, h("small", {}, `sonic channels test ${channel.name} tries it.`));
  const dialog = open(`Channel ${word(channel.name)}`, [words, secrets, made.node]);
}
