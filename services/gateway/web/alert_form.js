// The form by which an alert is made or edited.

import { patch, post } from "/web/api.js";
import { open } from "/web/dialog.js";
import { form } from "/web/form.js";
import { milliseconds, word } from "/web/format.js";
import { say } from "/web/toast.js";

const OF_POSITIONS = ["LIQUIDATION_DISTANCE", "TRAVEL_PERCENT", "HEAT_INDEX", "LIQUIDATION_PROBABILITY", "PROFIT"];
const OF_ALL = ["TOTAL_VALUE", "TOTAL_SIZE", "TOTAL_PROFIT", "AVG_LEVERAGE", "AVG_TRAVEL_PERCENT", "VALUE_TO_COLLATERAL_RATIO", "TOTAL_HEAT"];
const OF_ACCOUNTS = ["ACCOUNT_DISTANCE", "WALLET_EXPOSURE"];
const TYPES = ["PRICE_THRESHOLD", "DELTA_CHANGE", ...OF_POSITIONS, ...OF_ACCOUNTS, ...OF_ALL, "TIME"];
// What can be a limit at all; the server says the same again.
const RANGES = { HEAT_INDEX: [0, 100], TOTAL_HEAT: [0, 100], LIQUIDATION_PROBABILITY: [0, 1], LIQUIDATION_DISTANCE: [-Infinity, 100], ACCOUNT_DISTANCE: [0, 100], WALLET_EXPOSURE: [Number.MIN_VALUE, Infinity], PRICE_THRESHOLD: [Number.MIN_VALUE, Infinity] };

const seconds = (count) => (count === undefined ? undefined : `${count}s`);

function inRange(value, type) {
  const [low, high] = RANGES[type] ?? [-Infinity, Infinity];
  if (value === undefined || (value >= low && value <= high)) return undefined;
  return low === Number.MIN_VALUE ? "must be above 0" : `is between ${low === -Infinity ? "−∞" : low} and ${high}`;
}

const shared = (alert) => [
  { name: "cooldown", label: "Repeat not within", kind: "number", unit: "s", min: 0, max: 604800, value: alert.cooldown ? milliseconds(alert.cooldown) / 1000 : undefined, help: "the same level is not told again within this time" },
  { name: "notes", kind: "area", value: alert.notes, max_length: 2000 },
];

/** Opens the form of a new alert; `refresh` is called when it is made. */
export function addAlert(refresh, { position_id = "", asset = "" } = {}) {
  const needs = (kinds, text) => (value, { type }) => (kinds.includes(type) && !value ? text : undefined);
  const fields = [
    { name: "type", label: "What is watched", kind: "select", options: TYPES.map((type) => [type, word(type)]), value: position_id ? "LIQUIDATION_DISTANCE" : "PRICE_THRESHOLD" },
    { name: "condition", kind: "select", options: [["CONDITION_ABOVE", "at or above"], ["CONDITION_BELOW", "at or below"]] },
    { name: "trigger_value", label: "Limit", kind: "number", help: "HIGH when it is reached, in the unit of what is watched", check: (value, { type }) => (value === undefined && type !== "TIME" ? "is needed" : inRange(value, type)) },
    { name: "asset", label: "Asset", value: asset, help: "for a price or a move", check: needs(["PRICE_THRESHOLD", "DELTA_CHANGE"], "name the asset, e.g. BTC") },
    { name: "position_id", label: "Position", value: position_id, help: "its id, for a figure of one position", check: needs(OF_POSITIONS, "name the position's id") },
    { name: "account_id", label: "Account", help: "its id, for a figure of an account: sonic accounts list", check: needs(OF_ACCOUNTS, "name the account's id") },
    { name: "trigger_time", label: "Moment", kind: "datetime", help: "for time alone", check: needs(["TIME"], "say when") },
    ...shared({}),
  ];
  const send = async ({ type, condition, trigger_value, asset: named, position_id: id, account_id, trigger_time, cooldown, notes }) => {
    const alert = { type: `ALERT_TYPE_${type}`, notes, cooldown: seconds(cooldown) };
    if (type === "TIME") alert.trigger_time = trigger_time;
    else Object.assign(alert, { condition, trigger_value });
    if (OF_POSITIONS.includes(type)) alert.position_id = id;
    if (OF_ACCOUNTS.includes(type)) alert.account_id = account_id;
    if (["PRICE_THRESHOLD", "DELTA_CHANGE"].includes(type)) alert.asset = named.toUpperCase();
    await post("/v1/alerts", { alert });
    dialog.close();
    say("The alert is made; the next cycle judges it.");
    await refresh();
  };
  const made = form({ fields, act: { label: "Add alert", send }, cancel: () => dialog.close(), label: "New alert" });
  const dialog = open("New alert", made.node);
}

/** Opens the form of an alert; one that somebody else changed meanwhile is refused and read anew. */
export function editAlert(alert, refresh) {
  const type = alert.type.replace("ALERT_TYPE_", "");
  const fields = [
    { name: "trigger_value", label: "Own limit", kind: "number", value: alert.trigger_value, help: "empty: its thresholds judge", check: (value) => inRange(value, type) },
    { name: "status", kind: "select", value: alert.status === "ALERT_STATUS_INACTIVE" ? "ALERT_STATUS_INACTIVE" : "ALERT_STATUS_ACTIVE", options: [["ALERT_STATUS_ACTIVE", "judged"], ["ALERT_STATUS_INACTIVE", "not judged"]] },
    ...shared(alert),
  ];
  const was = { trigger_value: alert.trigger_value, status: alert.status, cooldown: alert.cooldown ? milliseconds(alert.cooldown) / 1000 : undefined, notes: alert.notes };
  const send = async (values) => {
    if (values.status === "ALERT_STATUS_ACTIVE" && alert.status !== "ALERT_STATUS_INACTIVE") values.status = alert.status;
    const mask = Object.keys(was).filter((name) => values[name] !== was[name]);
    const body = { etag: alert.etag };
    for (const name of mask) if (values[name] !== undefined) body[name] = name === "cooldown" ? seconds(values.cooldown) : values[name];
    if (mask.length) {
      await patch(`/v1/alerts/${encodeURIComponent(alert.id)}`, body, mask);
      say("The alert is changed.");
      await refresh();
    }
    dialog.close();
  };
  const conflict = async () => {
    dialog.close();
    await refresh();
  };
  const made = form({ fields, act: { label: "Save", send }, cancel: () => dialog.close(), conflict, label: "Edit alert" });
  const dialog = open(alert.description || word(alert.type, "ALERT_TYPE_"), made.node);
}
