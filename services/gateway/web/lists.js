// Alerts, hedges, monitors and deliveries as lists.

import { age } from "/web/ages.js";
import { byId, empty, fold, h, pill, show, unknown } from "/web/dom.js";
import { code, plain, present, reading, usd, word } from "/web/format.js";

// News, not danger: they are shown after what can hurt, and in another colour.
const NEWS = new Set(["ALERT_TYPE_PROFIT", "ALERT_TYPE_TOTAL_PROFIT", "ALERT_TYPE_TOTAL_VALUE", "ALERT_TYPE_TOTAL_SIZE"]);
export const isJudged = (alert) => alert.status !== "ALERT_STATUS_INACTIVE";
export const isNews = (alert) => NEWS.has(alert.type);

const count = (panel, text) => (byId(`${panel}-panel`).querySelector("[data-count]").textContent = text);

export function showAlerts(answer) {
  const all = answer.alerts;
  const loud = all.filter((alert) => isJudged(alert) && (alert.level !== "LEVEL_NORMAL" || alert.reading_state !== "READING_STATE_FRESH"));
  const sorted = [...loud.filter((alert) => !isNews(alert)), ...loud.filter(isNews)];
  const quiet = all.filter((alert) => !loud.includes(alert));
  const raised = loud.filter((alert) => alert.level !== "LEVEL_NORMAL").length;
  count("alerts", `${raised} raised, ${quiet.length} quiet${answer.next_page_token ? ", there are more" : ""}`);
  const folded = quiet.length ? fold("quiet-alerts", `${quiet.length} at normal or not judged`, () => quiet.map(alertRow)) : null;
  show(byId("alerts"), sorted.length ? sorted.map(alertRow) : empty("Nothing is raised."), folded);
}

function alertRow(alert) {
  const level = code(alert.level, "LEVEL_");
  const state = code(alert.reading_state, "READING_STATE_");
  // NORMAL without a reading is not "safe": it says so itself.
  const label = level === "NORMAL" && state === "UNKNOWN" ? pill("NOT KNOWN", "level-UNKNOWN") : pill(level, isNews(alert) && level !== "NORMAL" ? "news" : `level-${level}`);
  const value = present(alert.evaluated_value) ? reading(alert.metric, alert.evaluated_value) : unknown(word(alert.metric));
  const status = code(alert.status, "ALERT_STATUS_");
  return h(
    "article",
    { class: `item alert level-${level}${isNews(alert) ? " news" : ""}` },
    h("div", { class: "line" }, label, h("b", {}, word(alert.type, "ALERT_TYPE_")), subject(alert), state === "FRESH" ? null : pill(state, "state-old"), status === "ACTIVE" ? null : pill(status, "soft"), h("span", { class: "n value" }, value)),
    progress(alert),
    h("div", { class: "line below" }, h("span", { class: "why" }, alert.why || alert.description), age(alert.evaluated_time, { coloured: true })),
    alert.notes ? h("div", { class: "note" }, alert.notes) : null,
  );
}

function subject(alert) {
  const parts = [alert.asset, alert.side.toLowerCase(), alert.wallet].filter(Boolean);
  return h("span", { class: "subject" }, parts.length ? parts.join(" ") : word(alert.alert_class, "ALERT_CLASS_"));
}

function progress(alert) {
  if (!present(alert.progress_percent)) return null;
  const way = Math.max(0, Math.min(100, alert.progress_percent));
  const label = `${plain(alert.progress_percent, 0)} % of the way to the next limit`;
  return h("div", { class: "meter", role: "img", title: label, "aria-label": label }, h("i", { style: { "--way": `${way}%` } }));
}

export function showHedges(answer) {
  count("hedges", `${answer.hedges.length}`);
  show(byId("hedges"), answer.hedges.length ? answer.hedges.map(hedgeRow) : empty("No wallet holds both sides of an asset."));
}

function hedgeRow(hedge) {
  const [long, short] = [Number(hedge.total_long_size_usd ?? 0), Number(hedge.total_short_size_usd ?? 0)];
  const share = long + short > 0 ? (100 * long) / (long + short) : 50;
  return h(
    "article",
    { class: "item hedge" },
    h("div", { class: "line" }, h("b", {}, hedge.asset), h("span", { class: "subject" }, `${hedge.wallet} · ${hedge.member_count} positions`), figure("ratio", hedge.hedge_ratio, (value) => plain(value, 2))),
    h("div", { class: "balance", style: { "--share": `${share}%` } }, h("span", { class: "side-long" }, usd(long)), h("i"), h("span", { class: "side-short" }, usd(short))),
    h("div", { class: "line figures" }, figure("net delta", hedge.net_delta_usd, (value) => usd(value, { sign: true })), figure("imbalance", hedge.imbalance_usd, (value) => usd(value, { sign: true })), figure("profit", hedge.net_pnl_usd, (value) => usd(value, { sign: true }), true), figure("heat", hedge.total_heat, (value) => plain(value, 0))),
    hedge.note ? h("div", { class: "note" }, hedge.note) : null,
  );
}

function figure(label, value, write, toned = false) {
  const tone = !toned ? "" : Number(value) < 0 ? "loss" : "gain";
  return h("span", { class: "figure" }, h("small", {}, label), h("span", { class: `n ${tone}` }, present(value) ? write(value) : unknown(label)));
}

const HEALTH = { HEALTH_HEALTHY: "well", HEALTH_WARNING: "warning", HEALTH_ERROR: "ill", HEALTH_OFFLINE: "off" };

export function showMonitors(answer) {
  const bad = answer.monitors.filter((monitor) => monitor.health !== "HEALTH_HEALTHY").length;
  count("monitors", `${answer.monitors.length}${bad ? `, ${bad} not healthy` : ""}`);
  show(byId("monitors"), answer.monitors.length ? answer.monitors.map(monitorRow) : empty("No monitor."));
}

function monitorRow(monitor) {
  const run = monitor.last_run ?? {};
  const status = code(run.status, "RUN_STATUS_");
  return h(
    "article",
    { class: "item monitor" },
    h(
      "div",
      { class: "line" },
      h("span", { class: `dot ${HEALTH[monitor.health] ?? "off"}`, title: word(monitor.health, "HEALTH_") }, h("i")),
      h("b", {}, monitor.name),
      h("span", { class: "subject" }, run.error || monitor.description),
      monitor.enabled ? null : pill("OFF", "soft"),
      status ? pill(status, `run-${status}`) : null,
      h("span", { class: "n when" }, age(run.started_time)),
    ),
  );
}

export function showDeliveries(answer) {
  show(byId("deliveries"), answer.deliveries.length ? answer.deliveries.map(deliveryRow) : empty("Nothing was told yet."));
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

export function showChannels(answer) {
  const chips = answer.channels.map((channel) => {
    const kind = channel.configured ? (Number(channel.dead_count) ? "ill" : "well") : "off";
    const title = channel.configured ? `${channel.destination}${channel.last_error ? `; ${channel.last_error}` : ""}` : `not set: ${channel.missing_settings.join(", ")}`;
    const queued = Number(channel.queued_count) ? ` ${channel.queued_count} waiting` : "";
    return h("span", { class: `dot ${kind}`, title }, h("i"), h("small", {}, channel.name + queued));
  });
  show(byId("channels"), chips);
}

