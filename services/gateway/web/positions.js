// The table of positions: ordered and paged by the server, what is nearest to liquidation first.

import { age } from "/web/ages.js";
import { get } from "/web/api.js";
import { h, pill, unknown } from "/web/dom.js";
import { code, present, price, times, usd, word } from "/web/format.js";
import { bar, distance, heat, isPast, travelClass, travelText } from "/web/liquidation_bar.js";
import { isJudged } from "/web/alert_parts.js";
import { setQuery } from "/web/router.js";
import { query, table } from "/web/table.js";
import { rank } from "/web/worst.js";

// What cannot be judged may be the worst: the server puts it before what is nearest to liquidation.
const WORST = "worst";
const LEVEL_FIELDS = "position_id,level,is_news,status";
const VENUES = ["jupiter", "dydx", "hyperliquid", "manual", "demo"];
const any = ["", "any"];

export const FILTERS = [
  { name: "wallet", label: "Wallet" },
  { name: "asset", label: "Asset" },
  { name: "venue", label: "Venue", options: [any, ...VENUES.map((name) => [name, name])] },
  { name: "side", label: "Side", options: [any, ["SIDE_LONG", "long"], ["SIDE_SHORT", "short"], ["SIDE_UNKNOWN", "unknown"]] },
];
const STATUS = { name: "status", label: "Status", options: [["", "held"], ["STATUS_ACTIVE", "active"], ["STATUS_STALE", "stale"], ["STATUS_CLOSED", "closed"], ["STATUS_LIQUIDATED", "liquidated"], ["STATUS_INACTIVE", "inactive"]] };

/** A table whose choices are kept in the address. `levels` is a Map from position id to its worst level. */
export function positionsTable({ address, pageSize, withStatus = false, levels }) {
  const filters = withStatus ? [...FILTERS, STATUS] : FILTERS;
  const filter = Object.fromEntries(filters.map(({ name }) => [name, address.get(name) ?? ""]));
  return table({
    name: "positions",
    columns: columns(levels),
    key: (position) => position.id,
    order: address.get("order_by") || WORST,
    filters,
    filter,
    pageSize,
    none: "No position fits.",
    chosen: ({ order_by, ...others }) => setQuery({ ...others, order_by: order_by === WORST ? "" : order_by }),
    rowClass: (position) => (isPast(position) ? "level-HIGH past" : `level-${code(levels.get(position.id) ?? "", "LEVEL_")}`),
    fetch: async (asked) => {
      const [{ positions, next_page_token: next }, raised] = await Promise.all([get(`/v1/positions${query(asked)}`).catch(noWallet), allRaised()]);
      const judged = await readLevels(levels, positions.map(({ id }) => id), raised);
      return { rows: positions, next, judged };
    },
  });
}

/** "5000 held, 3 without a known distance". */
export function heldWords({ position_count: count, absent_count: absent }, { judged }) {
  const unknown = Number(absent?.liquidation_distance_percent ?? 0);
  return `${count} held${unknown ? `, ${unknown} without a known distance` : ""}${judged ? "" : "; levels cannot be read now"}`;
}

/** While a wallet's name is being typed there is none of that name. */
function noWallet(problem) {
  if (problem.reason === "WALLET_NOT_FOUND") return { positions: [], next_page_token: "" };
  throw problem;
}

const raisedBut = (...more) => `/v1/alerts?${new URLSearchParams([["min_level", "LEVEL_LOW"], ["page_size", "500"], ["read_mask", LEVEL_FIELDS], ...more])}`;

/** What is raised, when that is few enough for one answer; null: it is asked for by position; undefined: not known. */
const allRaised = () => get(raisedBut()).then(({ alerts, next_page_token: next }) => (next ? null : alerts), () => undefined);

async function raisedOf(ids) {
  const found = [];
  for (let token = ""; ids.length && token !== null; ) {
    const { alerts, next_page_token: next } = await get(raisedBut(["page_token", token], ...ids.map((id) => ["position_ids", id])));
    found.push(...alerts);
    token = next || null;
  }
  return found;
}

/** The worst danger of each of these positions, into `levels`; false, and none, when that cannot be read now. */
async function readLevels(levels, ids, raised) {
  const found = new Map();
  let judged = raised !== undefined;
  try {
    for (const alert of raised === null ? await raisedOf(ids) : (raised ?? [])) {
      if (isJudged(alert) && !alert.is_news && rank(alert.level) > rank(found.get(alert.position_id))) found.set(alert.position_id, alert.level);
    }
  } catch {
    judged = false;
  }
  levels.clear();
  for (const [id, level] of found) levels.set(id, level);
  return judged;
}

const columns = (levels) => [
  { title: "Position", order: "asset", cell: (position) => identity(position, levels.get(position.id)) },
  { title: "Liquidation · entry", order: "travel_percent", kind: () => "path", cell: bar },
  { title: "Distance", order: WORST, numeric: true, kind: (position) => (isPast(position) ? "strong loss" : "strong"), cell: distance },
  number("Travel", "travel_percent", travelText, travelClass, "travel_percent"),
  { title: "Heat", order: "heat_index", numeric: true, cell: (position) => heat(position) },
  { title: "Mark", numeric: true, cell: mark },
  number("Profit", "pnl_usd", (value) => usd(value, { sign: true }), (value) => (Number(value) < 0 ? "loss" : "gain"), "pnl_usd", afterFees),
  number("Value", "value_usd", usd, () => "", "value_usd"),
  number("Size", "size_usd", usd, () => "", "size_usd"),
  number("Collateral", "collateral_usd", usd, () => "", ""),
  number("Lev.", "leverage_ratio", times, () => "", "leverage_ratio"),
];

function number(title, field, write, kind, order, below = () => null) {
  return {
    title,
    order,
    numeric: true,
    kind: (position) => (present(position[field]) ? kind(position[field]) : ""),
    cell: (position) => [present(position[field]) ? write(position[field]) : unknown(title), below(position)],
  };
}

export function identity(position, level) {
  const side = code(position.side, "SIDE_");
  const far = position.estimated_liquidation_distance_percent;
  const estimate = present(far) ? h("span", { class: "flag" }, `${percent(far)} by market, ESTIMATED`) : null;
  const flags = position.flags.filter((flag) => flag !== "FLAG_DEMO").map((flag) => h("span", { class: "flag" }, word(flag, "FLAG_")));
  const status = position.status === "STATUS_ACTIVE" ? null : h("span", { class: "flag" }, word(position.status, "STATUS_"));
  const label = level ? pill(code(level, "LEVEL_"), `level-${code(level, "LEVEL_")}`) : null;
  return [
    h("a", { class: "name", href: `/positions/${encodeURIComponent(position.id)}`, data: { key: position.id } }, h("b", {}, position.asset), h("span", { class: `side side-${side.toLowerCase()}` }, side), label),
    h("div", { class: "where" }, `${position.wallet} · ${position.venue}`, status, flags, estimate),
    position.note ? h("div", { class: "note" }, position.note) : null,
  ];
}

function mark(position) {
  const when = age(position.mark_time, { coloured: true });
  return [present(position.mark_price_usd) ? price(position.mark_price_usd) : unknown("Mark"), h("small", {}, when)];
}

function afterFees(position) {
  if (!present(position.pnl_after_fees_usd)) return null;
  return h("small", { title: "after fees, as the venue says" }, `${usd(position.pnl_after_fees_usd, { sign: true })} net`);
}
