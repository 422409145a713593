// One alert as a person meets it: how bad, why, since when, who was told, and what can be done about it.

import { age } from "/web/ages.js";
import { editAlert } from "/web/alert_form.js";
import { meter, subject } from "/web/alert_parts.js";
import { get, post, remove } from "/web/api.js";
import { fold, h, pill, show, unknown } from "/web/dom.js";
import { confirm } from "/web/dialog.js";
import { clock, code, plain, present, reading, word } from "/web/format.js";
import { busy, say } from "/web/toast.js";
import { aboutOf, toldOf, toldWords } from "/web/told.js";

const HISTORY = 40;
const LISTED = 12;
const WEEK = "604800s";
const SPANS = [["900s", "15 min"], ["3600s", "1 h"], ["28800s", "8 h"]];

/** `told`: messages of the alerts that are shown, to say by which way this incident was told. */
export function alertItem(alert, refresh, told = []) {
  const level = code(alert.level, "LEVEL_");
  const state = code(alert.reading_state, "READING_STATE_");
  const status = code(alert.status, "ALERT_STATUS_");
  const news = alert.is_news;
  const blind = level === "NORMAL" && state === "UNKNOWN";
  const label = blind ? pill("NOT KNOWN", "level-UNKNOWN") : pill(level, news && level !== "NORMAL" ? "news" : `level-${level}`);
  const own = aboutOf(alert, told);
  const by = level !== "NORMAL" && own.length ? h("span", { class: "since" }, toldWords(own)) : null;
  const since = level !== "NORMAL" && alert.last_triggered_time ? h("span", { class: "since" }, "since ", age(alert.last_triggered_time)) : null;
  return h(
    "article",
    { class: `item alert level-${level}${news ? " news" : ""}`, "aria-label": `${level} ${word(alert.type, "ALERT_TYPE_")} ${alert.description}`, data: { alert: alert.id } },
    h("div", { class: "line" }, label, h("b", {}, word(alert.type, "ALERT_TYPE_")), subject(alert), state === "FRESH" || blind ? null : pill(state, "state-old"), status === "ACTIVE" ? null : pill(status, "soft"), since, by, h("span", { class: "n value" }, present(alert.evaluated_value) ? reading(alert.metric, alert.evaluated_value) : unknown(word(alert.metric)))),
    meter(alert),
    h("div", { class: "line below" }, h("span", { class: "why" }, alert.why || alert.description), age(alert.evaluated_time, { coloured: true })),
    alert.notes ? h("div", { class: "note" }, alert.notes) : null,
    h("div", { class: "deeds" }, deeds(alert, refresh)),
    fold(`why-${alert.id}`, "Why, history, who was told", () => [more(alert)]),
  );
}

function deeds(alert, refresh) {
  const path = `/v1/alerts/${encodeURIComponent(alert.id)}`;
  const act = (verb, body, done) => (event) => busy(event.currentTarget, async () => {
    await post(`${path}:${verb}`, body);
    say(done);
    await refresh();
  });
  const button = (text, click, label = text) => h("button", { type: "button", class: "second small", "aria-label": `${label}: ${word(alert.type, "ALERT_TYPE_")} ${alert.description}`, data: { key: `${text} ${alert.id}` }, on: { click } }, text);
  const raised = alert.level !== "LEVEL_NORMAL";
  const held = ["ALERT_STATUS_SILENCED", "ALERT_STATUS_ACKNOWLEDGED"].includes(alert.status);
  const until = held && alert.held_until_time ? h("span", { class: "why" }, `${word(alert.status, "ALERT_STATUS_")} up to ${code(alert.held_level, "LEVEL_")} until ${clock(alert.held_until_time)}`) : null;
  return [
    until,
    held ? button("Tell again", act("unsilence", {}, "It is told again."), "Tell again") : null,
    raised && alert.status !== "ALERT_STATUS_ACKNOWLEDGED" ? button("Acknowledge", act("acknowledge", {}, "Acknowledged for an hour; a higher level is told.")) : null,
    h("span", { class: "silences", role: "group", "aria-label": "Silence" }, h("small", {}, "silence"), SPANS.map(([duration, text]) => button(text, act("silence", { duration }, `Silenced for ${text}; a higher level is told.`), `Silence for ${text}`)), raised ? button("until better", act("acknowledge", { duration: WEEK }, "Held until it is better, at most a week; a higher level is told."), "Hold until better") : null),
    button("Edit", () => editAlert(alert, refresh)),
    button("Delete", (event) => askDelete(event.currentTarget, alert, path, refresh)),
  ];
}

async function askDelete(button, alert, path, refresh) {
  const text = `${alert.description || word(alert.type, "ALERT_TYPE_")}: nobody is told of it any more. An automatic alert is made anew by the next cycle.`;
  if (!(await confirm({ title: "Delete this alert?", text, act: "Delete", danger: true }))) return;
  await busy(button, async () => {
    await remove(path);
    say("The alert is deleted.");
    await refresh();
  });
}

/** Filled when it is folded out: the newest change with its inputs, the changes as a strip, the messages. */
function more(alert) {
  const place = h("div", { class: "more-of" }, h("p", { class: "why" }, "Loading …"));
  Promise.all([get(`/v1/ledger?page_size=${HISTORY}&alert_id=${encodeURIComponent(alert.id)}`), toldOf(alert)]).then(
    ([{ entries }, told]) => show(place, why(alert, entries), strip(entries), history(entries), messages(alert, told)),
    (problem) => show(place, h("p", { class: "why" }, `Not read: ${problem.message}`)),
  );
  return place;
}

const NOT_SHOWN = new Set(["event", "type", "alert_id", "incident_id", "cycle_id", "demo", "level", "previous_level", "position_id"]);

function why(alert, entries) {
  const flip = present(alert.flip_value) ? [["falls below this level at", reading(alert.metric, alert.flip_value)]] : [];
  const inputs = entries.length ? facts(entries[0].inputs_json) : [];
  const figures = [...flip, ...inputs];
  return figures.length ? h("dl", { class: "facts" }, figures.map(([name, text]) => h("div", {}, h("dt", {}, name), h("dd", {}, text)))) : null;
}

function facts(text) {
  try {
    return Object.entries(JSON.parse(text)).filter(([name]) => !NOT_SHOWN.has(name)).map(([name, value]) => [word(name), figure(value)]);
  } catch {
    return [];
  }
}

const figure = (value) => (typeof value === "string" && /^-?\d+\.\d{5,}$/.test(value) ? plain(Number(value), 4) : String(typeof value === "object" ? JSON.stringify(value) : value));

/** The level over time, oldest at the left, as wide as it lasted. */
function strip(entries) {
  if (!entries.length) return null;
  const old = [...entries].reverse();
  const ends = [...old.slice(1).map((entry) => Date.parse(entry.entry_time)), Date.now()];
  const parts = old.map((entry, at) => {
    const level = code(entry.level_after, "LEVEL_");
    const took = Math.max(1, ends[at] - Date.parse(entry.entry_time));
    return h("i", { class: `level-${level}`, title: `${level} from ${new Date(entry.entry_time).toLocaleString()}`, style: { "--took": String(took) } });
  });
  const below = entries.length > LISTED ? `the newest ${LISTED}` : "they";
  return h("div", { class: "strip", role: "img", "aria-label": `Level over the last ${entries.length} changes; ${below} are listed below` }, parts);
}

const history = (entries) =>
  h("ol", { class: "changes" }, entries.slice(0, LISTED).map((entry) => h("li", {}, age(entry.entry_time, { after: " ago" }), ` ${word(entry.reason)} by ${entry.actor}: ${code(entry.level_before, "LEVEL_")} → ${code(entry.level_after, "LEVEL_")}`)));

function messages(alert, told) {
  if (!told.length) return h("p", { class: "why" }, alert.level === "LEVEL_NORMAL" ? "There is nothing to tell now." : "Of this incident nobody was told.");
  return h("ul", { class: "changes" }, told.slice(0, 6).map((message) => h("li", {}, age(message.created_time, { after: " ago" }), ` ${toldWords([message])}: ${message.subject}`)));
}
