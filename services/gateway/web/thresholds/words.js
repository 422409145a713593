// How limits are called and written: names, units, bounds.

import { plain, word } from "/web/format.js";

export const LIMITS = ["low", "medium", "high"];

const NAMES = {
  HEAT_INDEX: "Heat",
  TRAVEL_PERCENT: "Travel",
  LIQUIDATION_DISTANCE: "Liquidation distance",
  LIQUIDATION_PROBABILITY: "Liquidation probability, 24 h",
  PROFIT: "Profit of one position",
  TOTAL_PROFIT: "Sum of profits",
  TOTAL_VALUE: "Total value",
  TOTAL_SIZE: "Total size",
  AVG_LEVERAGE: "Average leverage",
  AVG_TRAVEL_PERCENT: "Average travel",
  VALUE_TO_COLLATERAL_RATIO: "Value / collateral",
  TOTAL_HEAT: "Average heat",
  PRICE_THRESHOLD: "Price",
  ACCOUNT_DISTANCE: "Common move to liquidation",
  WALLET_EXPOSURE: "Exposure over equity",
};

const bare = (type) => String(type).replace("ALERT_TYPE_", "");

export function nameOf({ type }) {
  const words = word(bare(type));
  return NAMES[bare(type)] ?? words.charAt(0).toUpperCase() + words.slice(1);
}

export const isBelow = ({ condition }) => condition === "CONDITION_BELOW";
/** "at or below", as the limits are judged: inclusive. */
export const side = (threshold) => (isBelow(threshold) ? "≤" : "≥");

export function unitOf({ metric = "" }) {
  if (metric.endsWith("_percent")) return "%";
  if (metric.endsWith("_usd")) return "$";
  if (metric.includes("leverage") || metric.includes("exposure")) return "×";
  if (metric.includes("probability")) return "0 to 1";
  return "";
}

/** A limit as it is edited: no grouping, no rounding. */
export const write = (value) => (value === undefined || value === null ? "" : String(Number(value)));

export const digits = (value) => (value === undefined || value === null ? "none" : plain(value, Math.min(6, (String(Number(value)).split(".")[1] ?? "").length)));

export const listed = (limits) => LIMITS.map((name) => digits(limits[name])).join(" / ");

export const defaults = (threshold) => ({ low: threshold.default_low, medium: threshold.default_medium, high: threshold.default_high });

export const isDefault = (threshold) => {
  const comes = defaults(threshold);
  const channels = LIMITS.some((name) => (threshold[`${name}_channels`] ?? []).length);
  return threshold.enabled && !channels && LIMITS.every((name) => Number(threshold[name]) === Number(comes[name]));
};

/** A number as a person writes it; undefined for nothing, NaN for what is none. A comma is a decimal sign. */
export function parse(text) {
  const trimmed = text.trim().replace("−", "-");
  return trimmed === "" ? undefined : Number(trimmed.replace(/^(-?\d+),(\d+)$/, "$1.$2"));
}

/** What is wrong with these limits, by field, as the server would say it; an empty object when nothing is. */
export function problems(threshold, limits) {
  const found = {};
  const { lowest_limit: least, highest_limit: most } = threshold;
  for (const name of LIMITS) {
    const value = limits[name];
    if (value === undefined) continue;
    if (!Number.isFinite(value)) found[name] = "is not a number";
    else if (least !== undefined && value < least && value !== threshold[name]) found[name] = `is at least ${least}`;
    else if (most !== undefined && value > most && value !== threshold[name]) found[name] = `is at most ${most}`;
  }
  const set = LIMITS.filter((name) => limits[name] !== undefined);
  if (!set.length) found.high = "one limit at least is needed";
  if (Object.keys(found).length) return found;
  for (const [place, name] of set.entries()) {
    const before = set[place - 1];
    if (before === undefined) continue;
    const sorted = isBelow(threshold) ? limits[before] >= limits[name] : limits[before] <= limits[name];
    if (!sorted) found[name] = `must be ${isBelow(threshold) ? "at most" : "at least"} ${before} (${digits(limits[before])})`;
  }
  return found;
}
