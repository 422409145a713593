// What the thresholds would make of a figure, by the limits alone: no wait before a level falls, no hold.

import { present } from "/web/format.js";

// The figure of an evaluation that each metric of a position judges.
const FIGURES = {
  ALERT_TYPE_HEAT_INDEX: "heat_index",
  ALERT_TYPE_TRAVEL_PERCENT: "travel_percent",
  ALERT_TYPE_LIQUIDATION_DISTANCE: "liquidation_distance_percent",
  ALERT_TYPE_LIQUIDATION_PROBABILITY: "liquidation_probability",
  ALERT_TYPE_PROFIT: "pnl_usd",
};

/** The most specific enabled threshold of a metric of positions; undefined when none is. */
export function thresholdOf(thresholds, type, condition, asset) {
  const fits = thresholds.filter((one) => one.type === type && one.condition === condition && one.alert_class === "ALERT_CLASS_POSITION" && ["", asset].includes(one.asset));
  const found = fits.find((one) => one.asset) ?? fits[0];
  return found?.enabled ? found : undefined;
}

/** LEVEL_... of a value; undefined when nothing is known. Inclusive at every edge. */
export function levelOf(alert, threshold, value) {
  if (!present(value)) return undefined;
  const reaches = (limit) => present(limit) && (alert.condition === "CONDITION_BELOW" ? value <= limit : value >= limit);
  if (present(alert.trigger_value)) return reaches(alert.trigger_value) ? "LEVEL_HIGH" : "LEVEL_NORMAL";
  if (!threshold) return undefined;
  return ["high", "medium", "low"].filter((name) => reaches(threshold[name])).map((name) => `LEVEL_${name.toUpperCase()}`)[0] ?? "LEVEL_NORMAL";
}

/** Alerts of the position whose level would be another one at these figures: [{alert, level}]. */
export function changes(alerts, thresholds, position, figures) {
  return alerts.flatMap((alert) => {
    const value = figures[FIGURES[alert.type]];
    const level = levelOf(alert, thresholdOf(thresholds, alert.type, alert.condition, position.asset), value);
    return level && level !== alert.level && alert.status !== "ALERT_STATUS_INACTIVE" ? [{ alert, level }] : [];
  });
}

/** Prices at which the limits of distance are reached: [{level, price}]. */
export function limitPrices(thresholds, position) {
  const found = thresholdOf(thresholds, "ALERT_TYPE_LIQUIDATION_DISTANCE", "CONDITION_BELOW", position.asset);
  const [side, end] = [position.side === "SIDE_SHORT" ? -1 : 1, position.risk_liquidation_price_usd];
  if (!found || !present(end)) return [];
  return ["low", "medium", "high"].filter((name) => present(found[name])).map((name) => ({ level: name.toUpperCase(), price: end / (1 - (side * found[name]) / 100) }));
}
