// The title bar: mode, prices, services, badges, and what to know before trusting a calm page.

import { age } from "/web/ages.js";
import { get, health, post } from "/web/api.js";
import { byId, h, show, unknown } from "/web/dom.js";
import { code, percent, present, price, signed, word } from "/web/format.js";
import { listen } from "/web/live.js";
import { note } from "/web/notices.js";
import { busy } from "/web/toast.js";
import { channelName, listed } from "/web/told.js";
import { servicesAre } from "/web/worst.js";

// A service that hangs is seen within 10 s: the gateway waits 1.5 s for each.
const HEALTH_MS = 4000;
const SETTINGS_MS = 20000;

/** Keeps it true for as long as the page is open. */
export function keepTitleBar(onCycle) {
  listen("/v1/prices:watch", (message) => showPrices(message.prices));
  listen("/v1/monitors:watch", (message) => showBadges(message.badges));
  const read = () => (readSettings(), readBadges());
  onCycle(read);
  read();
  setInterval(() => document.hidden || readSettings(), SETTINGS_MS);
  lookAfterServices();
}

const ASKED = [
  ["/v1/mode", showMode],
  ["/v1/totals", (answer) => note("totals", answer)],
  ["/v1/channels", (answer) => (note("channels", answer), showWays(answer.channels))],
  ["/v1/schedule", (answer) => note("schedule", answer)],
];

/** One that fails keeps what it said last; its service's light says why. */
const readSettings = () => Promise.all(ASKED.map(([path, display]) => get(path).then(display, () => {})));
const readBadges = () => get("/v1/badges").then((answer) => showBadges(answer.badges), () => {});

async function lookAfterServices() {
  try {
    showHealth(await health());
  } catch {
    // The banner says that the connection is lost.
  }
  setTimeout(lookAfterServices, document.hidden ? SETTINGS_MS : HEALTH_MS);
}

const GOOD = new Set(["QUALITY_GOOD", "QUALITY_CLOSED"]);

function showMode(answer) {
  const demo = answer.mode === "MODE_DEMO";
  const label = byId("mode");
  label.hidden = false;
  label.textContent = code(answer.mode, "MODE_");
  label.className = `mode ${demo ? "is-demo" : "is-live"}`;
  label.title = answer.reason;
  byId("demo").hidden = !demo;
  byId("demo-reason").textContent = `Nothing here is real money. ${answer.reason}`;
}

const prices = new Map();

function showPrices(changed) {
  for (const found of changed) prices.set(found.asset, found);
  show(byId("tickers"), [...prices.values()].sort((a, b) => a.asset.localeCompare(b.asset)).map(ticker));
}

function ticker(found) {
  const was = Number(found.previous_price_usd);
  const move = present(found.price_usd) && was > 0 ? 100 * (found.price_usd / was - 1) : NaN;
  const direction = move > 0 ? "up" : move < 0 ? "down" : "";
  const doubt = GOOD.has(found.quality) ? null : h("em", {}, word(found.quality, "QUALITY_"));
  const title = `${found.source}; ${word(found.quality, "QUALITY_")}`;
  return h(
    "span",
    { class: "ticker", title },
    h("b", {}, found.asset),
    present(found.price_usd) ? h("span", { class: "n" }, price(found.price_usd)) : unknown(`${found.asset} price`),
    Number.isFinite(move) ? h("span", { class: `n move ${direction}` }, signed(move, percent(move, 2))) : null,
    doubt,
    age(found.price_time, { coloured: true }),
  );
}

/** By which ways people are told, and when the last cycle ended. */
function showWays(channels) {
  const ways = channels.filter((channel) => channel.configured && channel.enabled && channel.name !== "log");
  const ill = (channel) => (channel.last_error && !(channel.last_sent_time > channel.last_error_time) ? " (failing)" : "");
  byId("ways").textContent = ways.length ? `Told through ${listed(ways.map((channel) => channelName(channel.name) + ill(channel)))}` : "Told through nothing: the log only";
}

/** The heartbeat: the age of the newest cycle. */
export function showHeartbeat(cycle) {
  const time = cycle?.ended_time ?? cycle?.created_time;
  show(byId("heartbeat"), time ? age(time, { coloured: true, before: "cycle ", after: " ago" }) : null);
}

function showHealth(services) {
  servicesAre(services);
  const dots = Object.entries(services).map(([name, { state, reason }]) => {
    const kind = state === "SERVING" ? "well" : "ill";
    const label = `${name}: ${word(state)}${reason ? ` (${word(reason)})` : ""}`;
    return h("span", { class: `dot ${kind}`, role: "listitem", title: label, "aria-label": label }, h("i"), h("small", {}, name));
  });
  show(byId("health"), dots);
}

const seen = new Set();

// What was dismissed is kept by the server, subject by subject: it stays hidden after a reload, and on every screen.
function showBadges(badges) {
  const first = seen.size === 0;
  show(byId("badges"), badges.map((badge) => chip(badge, !first && !seen.has(identity(badge)))));
  for (const badge of badges) seen.add(identity(badge));
}

const identity = (badge) => `${badge.name}:${badge.subject}:${badge.level}:${badge.value}`;

function chip(badge, isNew) {
  const dismiss = (event) => busy(event.currentTarget, async () => {
    const path = `/v1/badges/${encodeURIComponent(badge.name)}:dismiss`;
    await post(path, { subject: badge.subject, level: `LEVEL_${badge.level}` });
    showBadges((await get("/v1/badges")).badges);
  });
  const title = `${word(badge.level)}, set by the ${badge.monitor} monitor; click to dismiss`;
  return h(
    "button",
    { class: `badge level-${badge.level}${badge.name === "profit_badge" ? " news" : ""}${isNew ? " new" : ""}`, type: "button", title, data: { key: identity(badge) }, on: { click: dismiss } },
    h("span", {}, word(badge.name, "_badge")),
    h("b", {}, badge.value),
    badge.other_count ? h("span", {}, `+${badge.other_count}`) : null,
    badge.stale ? h("em", {}, "stale") : null,
    age(badge.badge_time, { coloured: badge.stale }),
  );
}

