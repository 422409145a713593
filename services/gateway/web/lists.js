// Alerts and deliveries as lists.

import { age } from "/web/ages.js";
import { isJudged, meter, subject } from "/web/alert_parts.js";
import { empty, fold, h, pill, show, unknown } from "/web/dom.js";
import { code, present, reading, word } from "/web/format.js";

const SHOWN = 8;

/** Raised ones, as the server orders them, danger first; what is at NORMAL is on the page of alerts. */
export function showAlerts(place, part, answer) {
  const raised = answer.alerts.filter(isJudged);
  part.setCount(`${raised.length} raised${answer.next_page_token ? ", there are more" : ""}`);
  const more = raised.length > SHOWN ? fold("more-alerts", `${raised.length - SHOWN} more`, () => raised.slice(SHOWN).map(alertRow)) : null;
  show(place, raised.length ? raised.slice(0, SHOWN).map(alertRow) : empty("Nothing is raised."), more);
}

export function alertRow(alert) {
  const level = code(alert.level, "LEVEL_");
  const state = code(alert.reading_state, "READING_STATE_");
  // NORMAL without a reading is not "safe": it says so itself.
  const label = level === "NORMAL" && state === "UNKNOWN" ? pill("NOT KNOWN", "level-UNKNOWN") : pill(level, alert.is_news && level !== "NORMAL" ? "news" : `level-${level}`);
  const value = present(alert.evaluated_value) ? reading(alert.metric, alert.evaluated_value) : unknown(word(alert.metric));
  const status = code(alert.status, "ALERT_STATUS_");
  return h(
    "article",
    { class: `item alert level-${level}${alert.is_news ? " news" : ""}` },
    h("div", { class: "line" }, label, h("b", {}, word(alert.type, "ALERT_TYPE_")), subject(alert), state === "FRESH" ? null : pill(state, "state-old"), status === "ACTIVE" ? null : pill(status, "soft"), h("span", { class: "n value" }, value)),
    meter(alert),
    h("div", { class: "line below" }, h("span", { class: "why" }, alert.why || alert.description), age(alert.evaluated_time, { coloured: true })),
    alert.notes ? h("div", { class: "note" }, alert.notes) : null,
  );
}

export function showDeliveries(place, answer) {
  show(place, answer.deliveries.length ? answer.deliveries.map(deliveryRow) : empty("Nothing was told yet."));
}

function deliveryRow(delivery) {
  const level = code(delivery.level, "LEVEL_");
  const state = code(delivery.state, "DELIVERY_STATE_");
  const trouble = delivery.last_error || (state === "QUEUED" && delivery.tries > 0 ? "tried, not accepted yet" : "");
  return h(
    "article",
    { class: "item delivery" },
    h("div", { class: "line" }, pill(level, `level-${level}`), h("span", { class: "what" }, delivery.subject), h("span", { class: "n when" }, age(delivery.created_time))),
    h("div", { class: "line below" }, h("span", { class: "subject" }, delivery.channel), pill(state, `delivery-${state}`), delivery.tries > 1 ? h("span", { class: "subject" }, `${delivery.tries} tries`) : null, h("span", { class: "why" }, trouble || delivery.provider_status)),
  );
}
