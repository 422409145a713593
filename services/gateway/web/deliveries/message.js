// One message: its deliveries, every try with the provider's answer, and what is left to be done.

import { age } from "/web/ages.js";
import { get, post } from "/web/api.js";
import { h, pill, show } from "/web/dom.js";
import { code, word } from "/web/format.js";
import { busy, say } from "/web/toast.js";

const WHY = { DUPLICATE: "not sent: the same was told shortly before", NO_CHANNEL: "not sent: no channel is set", NOBODY_TOLD: "not sent: it ends what nobody heard of" };

/** {node, take(message)} */
export function message(first, reload) {
  let held = first;
  const summary = h("summary", { data: { key: `message ${first.id}` } });
  const more = h("div", { class: "more" });
  const node = h("details", { class: "item message", data: { message: first.id } }, summary, more);
  node.addEventListener("toggle", () => node.open && read());

  async function read() {
    try {
      show(more, whole(await get(`/v1/messages/${encodeURIComponent(held.id)}`), done));
    } catch (problem) {
      show(more, h("p", { class: "trouble" }, `Not read: ${problem.message}`));
    }
  }

  async function done() {
    await read();
    reload();
  }

  function take(row) {
    const changed = JSON.stringify(row) !== JSON.stringify(held) || !summary.childElementCount;
    held = row;
    if (!changed) return;
    show(summary, head(row));
    if (node.open) read();
  }

  take(first);
  return { node, take };
}

function head(row) {
  const level = code(row.level, "LEVEL_");
  const news = row.kind === "KIND_NEWS";
  const ways = (row.deliveries ?? []).map(way);
  const waits = row.escalation_due_time && !row.acknowledged_time;
  return [
    h("span", { class: "line" }, pill(level, news ? "news" : `level-${level}`), h("span", { class: "what" }, row.subject), h("span", { class: "n when" }, age(row.created_time))),
    h(
      "span",
      { class: "line below wraps" },
      ways.length ? ways : h("span", { class: "subject" }, WHY[row.suppressed_reason] ?? word(row.suppressed_reason)),
      row.acknowledged_time ? h("span", { class: "gain" }, `acknowledged by ${row.acknowledged_by || "somebody"}`) : null,
      waits ? h("span", { class: "moved" }, age(row.escalation_due_time, { before: "next contact " })) : null,
    ),
  ];
}

function way(delivery) {
  const state = code(delivery.state, "DELIVERY_STATE_");
  return h("span", { class: "way" }, delivery.contact ? `${delivery.channel} to ${delivery.contact}` : delivery.channel, " ", pill(word(state).toUpperCase(), `delivery-${state}`));
}

function whole(row, done) {
  const facts = [
    ["said by", row.source],
    ["channels", word(row.channels_reason)],
    row.incident_key ? ["incident", row.incident_key] : null,
    Number(row.escalation_step) ? ["contacts told", row.escalation_step] : null,
  ].filter(Boolean);
  const ack = h("button", { type: "button", class: "second small", on: { click: () => busy(ack, () => acknowledge(row, done)) } }, "Acknowledge");
  const open = !row.acknowledged_time && row.level === "LEVEL_HIGH";
  return [
    row.body ? h("pre", { class: "code" }, row.body) : null,
    h("p", { class: "line below wraps" }, facts.map(([name, value]) => h("span", { class: "figure" }, h("small", {}, name), value))),
    h("div", { class: "ways" }, (row.deliveries ?? []).map((one) => delivery(one, done))),
    open ? h("div", { class: "actions" }, ack) : null,
  ];
}

async function acknowledge(row, done) {
  await post(`/v1/messages/${encodeURIComponent(row.id)}:ack`, { by: "dashboard" });
  say("Acknowledged: nobody else is told of it.");
  await done();
}

function delivery(one, done) {
  const state = code(one.state, "DELIVERY_STATE_");
  const again = h("button", { type: "button", class: "second small", on: { click: () => busy(again, () => resend(one, done)) } }, "Send again");
  const times = [
    one.sent_time ? ["arrived ", age(one.sent_time, { after: " ago" })] : one.handed_over_time ? ["taken ", age(one.handed_over_time, { after: " ago" })] : null,
    state === "QUEUED" && one.due_time ? ["next try ", age(one.due_time)] : null,
    one.quiet_until_time ? ["held by quiet hours, ", age(one.quiet_until_time)] : null,
  ].filter(Boolean);
  return h(
    "section",
    { class: "delivery", data: { delivery: one.id } },
    h("div", { class: "line wraps" }, h("b", {}, one.channel), h("span", { class: "subject" }, one.contact ? `${one.contact} ${one.destination}` : one.destination), pill(word(state).toUpperCase(), `delivery-${state}`), times.map((time) => h("span", { class: "subject" }, time)), one.reason === "DELIVERY_REASON_ACCEPTED" ? null : h("span", { class: "flag" }, word(one.reason, "DELIVERY_REASON_")), state === "DEAD" ? h("span", { class: "row-acts" }, again) : null),
    one.last_error ? h("p", { class: "loss" }, one.last_error) : null,
    h("ol", { class: "tries" }, (one.attempts ?? []).map(attempt)),
  );
}

function attempt(one) {
  const outcome = code(one.outcome, "ATTEMPT_OUTCOME_");
  const kind = { SENT: "gain", FAILED: "moved", REFUSED: "loss", UNFINISHED: "moved" }[outcome] ?? "subject";
  const time = one.attempt_time ? new Date(one.attempt_time).toLocaleTimeString() : "";
  return h("li", {}, h("span", { class: "n when" }, time), h("span", { class: "subject" }, `try ${one.try_number}`), h("span", { class: kind }, word(outcome)), h("span", { class: "why" }, one.error || one.provider_status));
}

async function resend(one, done) {
  await post(`/v1/deliveries/${encodeURIComponent(one.id)}:resend`, {});
  say(`${one.channel}: queued again, with all its tries.`);
  await done();
}
