// The title bar and the totals: mode, prices, health, badges, sums.

import { age } from "/web/ages.js";
import { get, post } from "/web/api.js";
import { byId, h, show, unknown } from "/web/dom.js";
import { code, heatBand, percent, plain, present, price, signed, times, travelBand, usd, word } from "/web/format.js";

const GOOD = new Set(["QUALITY_GOOD", "QUALITY_CLOSED"]);

export function showMode(answer) {
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

export function showPrices(changed) {
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
  );
}

export function showHealth(services) {
  const dots = Object.entries(services).map(([name, { state, reason }]) => {
    const kind = state === "SERVING" ? "well" : "ill";
    const label = `${name}: ${word(state)}${reason ? ` (${word(reason)})` : ""}`;
    return h("span", { class: `dot ${kind}`, role: "listitem", title: label, "aria-label": label }, h("i"), h("small", {}, name));
  });
  show(byId("health"), dots);
}

const seen = new Set();

// What was dismissed is kept by the server, subject by subject: it stays hidden after a reload, and on every screen.
export function showBadges(badges) {
  const first = seen.size === 0;
  show(byId("badges"), badges.map((badge) => chip(badge, !first && !seen.has(identity(badge)))));
  for (const badge of badges) seen.add(identity(badge));
}

const identity = (badge) => `${badge.name}:${badge.subject}:${badge.level}:${badge.value}`;

function chip(badge, isNew) {
  const dismiss = async (event) => {
    const button = event.currentTarget;
    button.disabled = true;
    try {
      const path = `/v1/badges/${encodeURIComponent(badge.name)}:dismiss`;
      await post(path, { subject: badge.subject, level: `LEVEL_${badge.level}` });
      showBadges((await get("/v1/badges")).badges);
    } catch (problem) {
      button.disabled = false;
      button.title = `Not dismissed: ${problem.message}`;
    }
  };
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

export function showTotals(totals) {
  const size = Number(totals.total_size_usd);
  const longShare = size > 0 ? (100 * totals.total_long_size_usd) / size : NaN;
  const missing = (name) => Number(totals.absent_count?.[name] ?? 0);
  const tiles = [
    tile("Value", usd(totals.total_value_usd), "", `of ${usd(totals.total_collateral_usd)} collateral`, "lead"),
    tile("Profit and loss", usd(totals.total_pnl_usd, { sign: true }), tone(totals.total_pnl_usd), "before fees", "lead"),
    tile("Size", usd(totals.total_size_usd), "", sides(totals, longShare), "lead"),
    tile("Leverage", known(totals.avg_leverage_ratio, times), "", `mean by size${note(missing("leverage_ratio"))}`),
    tile("Travel", known(totals.avg_travel_percent, (value) => signed(value, percent(value))), banded(totals.avg_travel_percent, travelBand), `mean by size${note(missing("travel_percent"))}`),
    tile("Heat", known(totals.avg_heat_index, plain), banded(totals.avg_heat_index, heatBand), `mean by size${note(missing("heat_index"))}`),
    tile("Value / collateral", known(totals.value_to_collateral_ratio, (value) => plain(value, 3)), "", positions(totals)),
  ];
  show(byId("totals"), tiles);
}

function tile(label, figure, kind, below, weight = "") {
  return h("div", { class: `tile ${weight}` }, h("span", { class: "label" }, label), h("strong", { class: `n ${kind}` }, figure ?? unknown(label)), h("small", {}, below));
}

const known = (value, write) => (present(value) ? write(value) : null);
const banded = (value, judge) => (present(value) ? `band-${judge(Number(value))}` : "");
const tone = (value) => (Number(value) < 0 ? "loss" : Number(value) > 0 ? "gain" : "");
const note = (count) => (count > 0 ? `, ${count} unknown` : "");

function sides(totals, longShare) {
  if (!Number.isFinite(longShare)) return "no position";
  const title = `long ${usd(totals.total_long_size_usd)}, short ${usd(totals.total_short_size_usd)}`;
  return h(
    "span",
    { class: "sides", title, style: { "--share": `${longShare}%` } },
    h("span", { class: "side-long" }, `long ${plain(longShare, 0)} %`),
    h("i"),
    h("span", { class: "side-short" }, `short ${plain(100 - longShare, 0)} %`),
  );
}

function positions(totals) {
  const stale = Number(totals.stale_count);
  const oldest = totals.oldest_mark_time ? ["oldest mark ", age(totals.oldest_mark_time, { coloured: true })] : [];
  return h("span", {}, `${totals.position_count} positions${stale ? `, ${stale} stale` : ""}`, oldest.length ? ", " : "", ...oldest);
}
