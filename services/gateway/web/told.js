// Who has been told of an alert: its own message, or the digest that told of it among others.

import { get } from "/web/api.js";
import { code } from "/web/format.js";

const LOOKED_AT = 200;
const DIGESTS = 3;
const NAMES = { sms: "SMS", email: "e-mail", voice: "voice call", log: "the log only" };

export const channelName = (name) => NAMES[name] ?? name;

let reading = null;

/** The newest messages of alerts; who asks within a moment shares an answer. */
export function messages() {
  reading ??= get(`/v1/messages?source=alerts&page_size=${LOOKED_AT}`).finally(() => setTimeout(() => (reading = null), 1000));
  return reading.then((answer) => answer.messages);
}

/** Messages of the alert's present incident, newest first; [] when none of the newest is about it. */
export async function toldOf(alert) {
  const all = await messages();
  const own = all.filter(({ facts }) => facts.alert_id === alert.id && (!alert.incident_id || facts.incident_id === alert.incident_id));
  if (own.length) return own;
  const digests = all.filter(({ facts }) => facts.digest_id).slice(0, DIGESTS);
  for (const digest of digests) {
    const { entries } = await get(`/v1/ledger?page_size=500&digest_id=${encodeURIComponent(digest.facts.digest_id)}`);
    if (entries.some((entry) => entry.alert_id === alert.id)) return [digest];
  }
  return [];
}

/** "told by SMS and e-mail", "not told: SMS failed", "told nobody". */
export function toldWords(found) {
  const rows = found.flatMap((message) => message.deliveries);
  const by = (state) => [...new Set(rows.filter((one) => code(one.state, "DELIVERY_STATE_") === state).map((one) => channelName(one.channel)))];
  const [sent, dead, queued] = [by("SENT"), by("DEAD"), by("QUEUED")];
  const heard = sent.filter((name) => name !== NAMES.log);
  if (heard.length) return `told by ${listed(heard)}${dead.length ? `, not by ${listed(dead)}: failed` : ""}`;
  if (queued.length) return `not told yet: ${listed(queued)} waiting`;
  if (dead.length) return `not told: ${listed(dead)} failed`;
  if (sent.length) return "told nobody: written to the log only";
  return "told nobody";
}

export const listed = (names) => (names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`);
