// Every figure of a position with its unit, and the age of what it rests on.

import { age } from "/web/ages.js";
import { h, unknown } from "/web/dom.js";
import { percent, plain, present, price, times, usd, word } from "/web/format.js";
import { distance, heat, travelClass, travelText } from "/web/liquidation_bar.js";

const usdOf = (field, settings) => (position) => (present(position[field]) ? usd(position[field], settings) : null);
const priceOf = (field) => (position) => (present(position[field]) ? `${price(position[field])} USD` : null);
const toned = (field) => (position) => (present(position[field]) ? h("span", { class: position[field] < 0 ? "loss" : "gain" }, usd(position[field], { sign: true })) : null);
const when = (field) => (position) => (position[field] ? age(position[field], { after: " ago" }) : null);

/** Shown only while the venue's mark stands still or is old. */
const estimated = (one) => {
  if (!one.mark_frozen_since_time) return hidden;
  const far = one.estimated_liquidation_distance_percent;
  return [present(far) ? distance({ liquidation_distance_percent: far }) : unknown("Distance by market price"), h("small", {}, "since ", age(one.mark_frozen_since_time, { after: " ago" }))];
};
const hidden = Symbol("hidden");

const GROUPS = [
  ["Risk", [
    ["Distance", distance],
    ["Distance by market price, ESTIMATED: the mark is old", estimated],
    ["Distance in USD", usdOf("liquidation_distance_usd", { sign: true })],
    ["Travel", (one) => (present(one.travel_percent) ? h("span", { class: travelClass(one.travel_percent) }, travelText(one.travel_percent)) : null)],
    ["Heat, of 100", heat],
    ["Chance of liquidation in 24 h", (one) => (present(one.liquidation_probability) ? [percent(100 * one.liquidation_probability, 2), h("small", {}, `${word(one.probability_model, "PROBABILITY_MODEL_")} model`)] : null)],
    ["Leverage", (one) => (present(one.leverage_ratio) ? times(one.leverage_ratio) : null)],
  ]],
  ["Prices", [
    ["Liquidation, that drives the risk", priceOf("risk_liquidation_price_usd")],
    ["Liquidation, by the venue", priceOf("liquidation_price_usd")],
    ["Liquidation, computed here", priceOf("own_liquidation_price_usd")],
    ["Entry", priceOf("entry_price_usd")],
    ["Mark, by the venue", (one) => (present(one.mark_price_usd) ? [`${price(one.mark_price_usd)} USD `, age(one.mark_time, { coloured: true, after: " ago" })] : null)],
    ["Market", priceOf("market_price_usd")],
  ]],
  ["Money", [
    ["Size", usdOf("size_usd")],
    ["Collateral", usdOf("collateral_usd")],
    ["Value", usdOf("value_usd")],
    ["Value, by the venue", usdOf("venue_value_usd")],
    ["Profit before fees", toned("pnl_usd")],
    ["Profit after fees, by the venue", toned("pnl_after_fees_usd")],
    ["Fee paid to open", usdOf("open_fee_usd")],
    ["Fee to close now", usdOf("close_fee_usd")],
    ["Borrow fee", usdOf("borrow_fee_usd")],
    ["Auto-deleveraging index", (one) => (present(one.adl_index) ? plain(one.adl_index, 2) : null)],
  ]],
  ["Times", [
    ["First seen", when("first_seen_time")],
    ["Last seen", when("last_seen_time")],
    ["Inputs changed", when("updated_time")],
    ["Figures computed", when("enriched_time")],
  ]],
];

export const figures = (position) =>
  GROUPS.map(([title, rows]) => h("div", { class: "group" }, h("h3", {}, title), h("dl", { class: "plain-facts" }, rows.filter(([, read]) => read(position) !== hidden).map(([label, read]) => h("div", {}, h("dt", {}, label), h("dd", { class: "n" }, read(position) ?? unknown(label)))))));
