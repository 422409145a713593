// One line in words: the worst there is, how near, since when, who was told. What is not known is said before it.

import { get } from "/web/api.js";
import { onCycle } from "/web/cycle_feed.js";
import { byId, h, pill, show } from "/web/dom.js";
import { ageSeconds, clock, code, milliseconds, percent, present, reading, seconds, word } from "/web/format.js";
import { setLevel } from "/web/tab.js";
import { listed, toldOf, toldWords } from "/web/told.js";

const LOOK_MS = 20000;
// Judged longer ago than so many intervals is not known.
const INTERVALS = 3;
const RANK = ["", "NORMAL", "LOW", "MEDIUM", "HIGH"];
export const rank = (level) => Math.max(0, RANK.indexOf(code(level, "LEVEL_")));

const known = { summary: null, totals: null, schedule: null, nearest: undefined, alert: null, told: null, failed: new Set(), down: new Map(), lost: null };

export function keepWorst() {
  onCycle(look);
  look();
  setInterval(look, LOOK_MS);
  // The ages in the line grow, and what was fresh becomes old, also when nothing answers any more.
  setInterval(write, 1000);
}

/** Services that are not serving, as the title bar sees them: {name: {state}}. */
export function servicesAre(services) {
  for (const [name, { state }] of Object.entries(services)) {
    if (state === "SERVING") known.down.delete(name);
    else if (!known.down.has(name)) known.down.set(name, new Date());
  }
  write();
}

/** Whether the gateway itself answers. */
export function connectionIs(problem) {
  known.lost = problem ? (known.lost ?? new Date()) : null;
  write();
}

async function look() {
  const ask = async (name, path, pick = (answer) => answer) => {
    try {
      known[name] = pick(await get(path));
      known.failed.delete(name);
    } catch {
      known.failed.add(name);
    }
  };
  await Promise.all([
    ask("summary", "/v1/alerts:summary"),
    ask("totals", "/v1/totals"),
    ask("schedule", "/v1/schedule"),
    ask("nearest", "/v1/positions?order_by=liquidation_distance_percent&page_size=1", (answer) => answer.positions[0] ?? null),
  ]);
  // Both at once: the line never says of one alert who was told of another.
  try {
    const alert = await worstAlert();
    const told = alert ? await toldOf(alert).catch(() => null) : null;
    Object.assign(known, { alert, told });
  } catch {
    known.told = null;
  }
  write();
}

/** The alert behind the line: of the nearest position when none is higher, else the worst of the highest metric. */
async function worstAlert() {
  const dangers = (known.summary?.metrics ?? []).filter((metric) => !metric.is_news);
  const top = Math.max(1, ...dangers.map((metric) => rank(metric.level)));
  if (top < 2) return null;
  const level = `LEVEL_${RANK[top]}`;
  const pick = (answer, fits = () => true) => answer.alerts.find((alert) => alert.level === level && !alert.is_news && alert.status !== "ALERT_STATUS_INACTIVE" && fits(alert));
  if (known.nearest) {
    const own = pick(await get(`/v1/alerts?page_size=50&min_level=${level}&position_id=${encodeURIComponent(known.nearest.id)}`));
    if (own) return own;
  }
  const metric = dangers.find((one) => rank(one.level) === top);
  const found = await get(`/v1/alerts?page_size=100&min_level=${level}&type=${metric.type}&alert_class=${metric.alert_class}`);
  return pick(found, (alert) => alert.position_id === metric.worst_subject) ?? pick(found) ?? null;
}

function doubts() {
  const made = [];
  if (known.lost) made.push(`Sonic does not answer since ${clock(known.lost)}`);
  const names = [...known.down.keys()];
  if (names.length) made.push(`${listed(names)} ${names.length > 1 ? "do" : "does"} not answer since ${clock(Math.min(...[...known.down.values()].map(Number)))}`);
  const judged = known.summary?.evaluated_time;
  const interval = (milliseconds(known.schedule?.interval) || 60000) / 1000;
  if (known.failed.has("summary")) made.push("what alerts judged is not known now");
  if (known.failed.has("nearest")) made.push("positions cannot be read now");
  if (known.summary && !judged) made.push("nothing was judged yet");
  if (judged && ageSeconds(judged) > INTERVALS * interval) made.push(`not judged since ${clock(judged)}, ${seconds(ageSeconds(judged))} ago`);
  if (known.totals?.stale && !known.totals.oldest_mark_time) made.push("a wallet could not be read: what it holds is not known");
  else if (known.totals?.stale) made.push(`a wallet could not be read, or marks are old, the oldest ${seconds(ageSeconds(known.totals.oldest_mark_time))}`);
  return made;
}

const place = (position) => `${position.asset} ${code(position.side, "SIDE_").toLowerCase()}`;

function distance(position) {
  const value = position?.liquidation_distance_percent;
  if (!present(value)) return "distance not known";
  return value <= 0 ? `past liquidation by ${percent(-value)}` : `${percent(value)} from liquidation`;
}

function held(alert) {
  const until = alert.held_until_time ? ` until ${clock(alert.held_until_time)}` : "";
  if (alert.status === "ALERT_STATUS_ACKNOWLEDGED") return `acknowledged${until}`;
  return alert.status === "ALERT_STATUS_SILENCED" ? `silenced${until}` : "not acknowledged";
}

/** What the alert is about, and where that leads. */
function subject(alert) {
  const { nearest } = known;
  if (alert.position_id && alert.position_id === nearest?.id) return [`${place(nearest)}, ${distance(nearest)}`, `/positions/${encodeURIComponent(nearest.id)}`];
  const side = [alert.asset, alert.side.toLowerCase()].join(" ");
  if (alert.type === "ALERT_TYPE_LIQUIDATION_DISTANCE" && present(alert.evaluated_value)) return [`${side}, ${distance({ liquidation_distance_percent: alert.evaluated_value })}`, `/positions/${encodeURIComponent(alert.position_id)}`];
  const value = present(alert.evaluated_value) ? ` ${reading(alert.metric, alert.evaluated_value)}` : "";
  const what = `${[alert.account, alert.asset, alert.side.toLowerCase()].filter(Boolean).join(" ") || word(alert.alert_class, "ALERT_CLASS_")}, ${word(alert.type, "ALERT_TYPE_")}${value}`;
  return [what, alert.position_id ? `/positions/${encodeURIComponent(alert.position_id)}` : "/alerts"];
}

/** {level, doubts, text, href}: what is known now, in words. */
export function worstNow() {
  const { summary, nearest, alert, told, totals } = known;
  const level = summary ? Math.max(1, ...summary.metrics.filter((metric) => !metric.is_news).map((metric) => rank(metric.level))) : 0;
  const past = nearest && present(nearest.liquidation_distance_percent) && nearest.liquidation_distance_percent <= 0;
  const unknown = Number(totals?.absent_count?.liquidation_distance_percent ?? 0);
  const blind = unknown ? `; ${unknown} position${unknown > 1 ? "s" : ""} cannot be judged` : "";
  const trouble = doubts();
  if (level >= 3 && alert) {
    const [what, href] = subject(alert);
    const own = alert.position_id && alert.position_id === nearest?.id;
    const nearer = nearest && !own ? `; nearest is ${place(nearest)}, ${distance(nearest)}` : "";
    const since = alert.last_triggered_time ? ` since ${clock(alert.last_triggered_time)}` : "";
    return { level, doubts: trouble, href, text: `${what}, ${RANK[level]}${since}, ${told ? toldWords(told) : "who was told is not known"}, ${held(alert)}${nearer}${blind}` };
  }
  const near = nearest ? `${place(nearest)} in ${nearest.wallet} is ${past ? "" : "nearest, "}${distance(nearest)}` : "";
  const href = nearest ? `/positions/${encodeURIComponent(nearest.id)}` : "/";
  if (past) return { level: Math.max(level, 4), doubts: trouble, href, text: `${near}${blind}` };
  const nothing = nearest === null ? "No position is held" : near;
  if (trouble.length) return { level: known.lost || !summary ? 0 : level, doubts: trouble, href, text: summary ? `when last judged nothing was above ${RANK[level]}; ${nothing}${blind}` : "" };
  if (!summary) return { level: 0, doubts: [], href, text: "Looking …" };
  return { level, doubts: [], href, text: `Nothing above ${RANK[level]}, judged ${seconds(ageSeconds(summary.evaluated_time))} ago; ${nothing}${blind}` };
}

let written = "";
let said = "";

function write() {
  const now = worstNow();
  setLevel(now.doubts.length && now.level < 3 ? "UNKNOWN" : (RANK[now.level] || "UNKNOWN"), now.text);
  const text = JSON.stringify(now);
  if (text === written) return;
  written = text;
  // Read aloud when it is another state, not when an age has grown.
  const state = `${now.level} ${now.href} ${now.doubts.length}`;
  if (state !== said) byId("worst-said").textContent = [...now.doubts, now.text].join(". ");
  said = state;
  const line = byId("worst");
  line.className = `worst level-${RANK[now.level] || "UNKNOWN"}${now.doubts.length ? " in-doubt" : ""}`;
  const first = now.doubts.length ? h("strong", { class: "doubt" }, `${now.doubts.join("; ").replace(/^./, (letter) => letter.toUpperCase())}. `) : null;
  const label = now.level >= 2 ? pill(RANK[now.level], `level-${RANK[now.level]}`) : null;
  show(line, label, h("span", {}, first, now.text ? h("a", { href: now.href }, now.text.replace(/^./, (letter) => (first ? letter : letter.toUpperCase()))) : null));
}
