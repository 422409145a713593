// Who has been told of an alert: by its own messages, or by the digest that told of it among others.

import { get } from "/web/api.js";
import { code } from "/web/format.js";

const NAMES = { sms: "SMS", email: "e-mail", voice: "voice call", log: "the log only" };

export const channelName = (name) => NAMES[name] ?? name;

/** The incident it is in, and the digest that told of it among others. */
const keysOf = (alert) => [alert.incident_id, alert.digest_id].filter(Boolean);

/** Messages of the present incidents of these alerts, newest first: of them and of no others, however old. */
export async function toldOf(...alerts) {
  const keys = [...new Set(alerts.flatMap(keysOf))];
  if (!keys.length) return [];
  return (await get(`/v1/messages?${new URLSearchParams([["page_size", "500"], ...keys.map((key) => ["incident_keys", key])])}`)).messages;
}

/** Those of them that are about this alert. */
export const aboutOf = (alert, messages) => messages.filter((message) => keysOf(alert).includes(message.incident_key));

/** "told by SMS and e-mail", "not told: SMS failed", "told nobody". */
export function toldWords(found) {
  const rows = found.flatMap((message) => message.deliveries);
  const by = (state) => [...new Set(rows.filter((one) => code(one.state, "DELIVERY_STATE_") === state).map((one) => channelName(one.channel)))];
  const [sent, dead, handed] = [by("SENT"), by("DEAD"), by("HANDED_OVER")];
  // What is grouped waits with its digest, and ends as that ends.
  const queued = [...new Set([...by("QUEUED"), ...by("GROUPED")])];
  const heard = sent.filter((name) => name !== NAMES.log);
  if (heard.length) return `told by ${listed(heard)}${dead.length ? `, not by ${listed(dead)}: failed` : ""}`;
  if (handed.length) return `handed to ${listed(handed)}: whether it arrived is not known yet`;
  if (queued.length) return `not told yet: ${listed(queued)} waiting`;
  if (dead.length) return `not told: ${listed(dead)} failed`;
  if (sent.length) return "told nobody: written to the log only";
  return "told nobody";
}

export const listed = (names) => (names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`);
