// Price rules: what a person waits for in an asset's price.

import { age } from "/web/ages.js";
import { get, patch, post, remove } from "/web/api.js";
import { empty, h, pill, show } from "/web/dom.js";
import { confirm, open } from "/web/dialog.js";
import { checkSpan, parseSpan, spanWords, toDuration, writeSpan } from "/web/durations.js";
import { form } from "/web/form.js";
import { code, percent, plain, present, price, usd, word } from "/web/format.js";
import { sheet } from "/web/router.js";
import { keep, panel } from "/web/states.js";
import { busy, say } from "/web/toast.js";
import { versions } from "/web/versions.js";

export const title = "Price rules";

const METRICS = [["RULE_METRIC_MOVE_PERCENT", "a move of so many percent"], ["RULE_METRIC_MOVE_ABS", "a move of so many dollars"], ["RULE_METRIC_PRICE_TARGET", "a price that is reached"]];
const DIRECTIONS = [["RULE_DIRECTION_BOTH", "either way"], ["RULE_DIRECTION_UP", "up"], ["RULE_DIRECTION_DOWN", "down"], ["RULE_DIRECTION_CROSS", "crossing (of a target)"]];
const RECURRENCES = [["RULE_RECURRENCE_SINGLE", "once, then it rests"], ["RULE_RECURRENCE_RESET", "again, from the price it was met at"], ["RULE_RECURRENCE_LADDER", "again, at every further step"]];
const WINDOWS = [["0s", "since the anchor"], ["3600s", "within 1 h"], ["21600s", "within 6 h"], ["86400s", "within 24 h"]];
const LEVELS = [["LEVEL_LOW", "LOW"], ["LEVEL_MEDIUM", "MEDIUM"], ["LEVEL_HIGH", "HIGH"]];
const STATES = { RULE_STATE_NORMAL: "level-NORMAL", RULE_STATE_WARN: "level-LOW", RULE_STATE_BREACH: "level-HIGH" };
const EDITED = ["threshold", "direction", "recurrence", "window", "cooldown", "level", "enabled", "channels", "notes"];

export function mount(root) {
  sheet("lists");
  const known = { channels: [], assets: [] };
  const newOne = h("button", { type: "button", class: "primary", on: { click: () => busy(newOne, async () => (await known.read, edit(null, known, kept.refresh))) } }, "New rule");
  const older = h("button", { type: "button", class: "second", on: { click: (event) => busy(event.target, () => versions("/v1/ruleVersions", "price rules", () => kept.refresh())) } }, "Versions");
  const part = panel(title, { wide: true, tools: [newOne, older], rows: 5, id: "rules" });
  root.append(h("h1", { class: "hidden-title" }, title), part.node);
  const display = ({ rules }) => {
    part.setCount(rules.length ? `${rules.filter((rule) => rule.enabled && rule.armed).length} of ${rules.length} wait` : "");
    const none = empty("No rule yet. A rule tells you of a move or a price of an asset, whether you hold it or not.");
    show(part.body, rules.length ? h("div", { class: "list" }, rules.map((rule) => row(rule, known, kept.refresh))) : none);
  };
  const kept = keep(part, () => get("/v1/rules?page_size=500"), display);
  known.read = Promise.allSettled([
    get("/v1/channels").then(({ channels }) => (known.channels = channels.map((one) => one.name))),
    get("/v1/prices?page_size=500").then(({ prices }) => (known.assets = prices.map((one) => one.asset))),
  ]);
  return kept.stop;
}

const path = (id) => `/v1/rules/${encodeURIComponent(id)}`;
const label = (options, value) => options.find(([one]) => one === value)?.[1] ?? word(value);

/** "BTC moves 5 % up or down within 1 h". */
function sentence(rule) {
  const way = { RULE_DIRECTION_UP: "up", RULE_DIRECTION_DOWN: "down", RULE_DIRECTION_BOTH: "up or down", RULE_DIRECTION_CROSS: "from either side" }[rule.direction] ?? "";
  if (rule.metric === "RULE_METRIC_PRICE_TARGET") {
    const verb = { RULE_DIRECTION_UP: "rises to", RULE_DIRECTION_DOWN: "falls to", RULE_DIRECTION_CROSS: "crosses" }[rule.direction] ?? "reaches";
    return `${verb} ${usd(rule.threshold)}`;
  }
  const much = rule.metric === "RULE_METRIC_MOVE_ABS" ? usd(rule.threshold) : percent(rule.threshold, 2);
  const within = Number.parseFloat(rule.window ?? "0") ? ` within ${spanWords(rule.window)}` : present(rule.anchor_price_usd) ? ` from ${price(rule.anchor_price_usd)}` : "";
  return `moves ${much} ${way}${within}`;
}

function row(rule, known, reload) {
  const state = code(rule.state, "RULE_STATE_");
  const ratio = present(rule.ratio) ? Math.max(0, Math.min(1, rule.ratio)) : null;
  const rests = !rule.enabled ? pill("OFF", "soft") : !rule.armed ? pill("MET, RESTS", "soft") : null;
  const seen = state === "UNSPECIFIED" || !state ? h("span", { class: "subject" }, "no price seen yet") : pill(state, STATES[rule.state] ?? "soft");
  const arm = rule.armed ? null : h("button", { type: "button", class: "second small", on: { click: (event) => busy(event.target, () => armed(rule, reload)) } }, "Arm again");
  const button = (text, act) => h("button", { type: "button", class: "second small", "aria-label": `${text}: ${rule.asset} ${sentence(rule)}`, data: { key: `${text} ${rule.id}` }, on: { click: (event) => busy(event.currentTarget, async () => act()) } }, text);
  return h(
    "article",
    { class: `item rule level-${rule.state === "RULE_STATE_BREACH" ? "HIGH" : "NORMAL"}`, data: { id: rule.id } },
    h("div", { class: "line wraps" }, h("b", {}, rule.asset), h("span", {}, sentence(rule)), rests ?? seen, h("span", { class: "row-acts" }, arm, button("Edit", () => edit(rule, known, reload)), button("Remove", () => drop(rule, reload)))),
    ratio === null ? null : h("div", { class: "meter", role: "img", "aria-label": `${plain(100 * ratio, 0)} % of the way`, title: `${plain(100 * ratio, 0)} % of the way` }, h("i", { style: { "--way": `${100 * ratio}%` } })),
    h(
      "div",
      { class: "line below wraps" },
      h("span", { class: "subject" }, `tells ${code(rule.level, "LEVEL_") || "MEDIUM"} through ${(rule.channels ?? []).join(", ") || "the channels of the level"}`),
      h("span", { class: "subject" }, label(RECURRENCES, rule.recurrence)),
      Number(rule.breach_count) ? h("span", { class: "subject" }, `met ${rule.breach_count} times`) : null,
      present(rule.price_usd) ? h("span", { class: "n" }, price(rule.price_usd)) : null,
      rule.price_time ? age(rule.price_time, { coloured: true }) : null,
    ),
    rule.notes ? h("div", { class: "note" }, rule.notes) : null,
  );
}

async function armed(rule, reload) {
  const after = await patch(path(rule.id), { id: rule.id, armed: true, etag: rule.etag }, ["armed"]);
  Object.assign(rule, after);
  say(`${after.asset} is waited for again; the anchor is the next price.`);
  return reload();
}

async function drop(rule, reload) {
  if (!(await confirm({ title: "Remove this rule?", text: `${rule.asset} ${sentence(rule)}. What it told stays in the ledger.`, act: "Remove", danger: true }))) return;
  await remove(`${path(rule.id)}?etag=${encodeURIComponent(rule.etag)}`);
  say(`${rule.asset} ${sentence(rule)}: waited for no more.`);
  reload();
}

function checked(all) {
  const target = all.metric === "RULE_METRIC_PRICE_TARGET";
  return {
    direction: !target && all.direction === "RULE_DIRECTION_CROSS" ? "crossing is of a price that is reached" : undefined,
    window: target && all.window !== "0s" ? "a window is of moves" : undefined,
    recurrence: all.recurrence === "RULE_RECURRENCE_LADDER" && (target || all.window !== "0s") ? "steps need a move since the anchor" : undefined,
  };
}

function edit(rule, known, reload) {
  const of = (name) => (_, all) => checked({ ...rule, ...all })[name];
  const window = WINDOWS.find(([value]) => Number.parseFloat(value) === Number.parseFloat(rule?.window ?? "0"))?.[0];
  const assets = rule ? [rule.asset] : known.assets;
  const fields = [
    { name: "asset", kind: assets.length ? "select" : "text", options: assets, value: rule?.asset, required: true, label: "Asset" },
    { name: "metric", kind: "select", options: rule ? METRICS.filter(([value]) => value === rule.metric) : METRICS, value: rule?.metric, label: "Waits for" },
    { name: "threshold", kind: "number", required: true, above: 0, value: rule?.threshold, label: "How much", help: "percent, dollars of move, or the price in dollars" },
    { name: "direction", kind: "select", options: DIRECTIONS, value: rule?.direction, label: "Which way", check: of("direction") },
    { name: "window", kind: "select", options: WINDOWS, value: window, label: "Measured", check: of("window") },
    { name: "recurrence", kind: "select", options: RECURRENCES, value: rule?.recurrence, label: "Told", check: of("recurrence") },
    { name: "level", kind: "select", options: LEVELS, value: rule?.level ?? "LEVEL_MEDIUM", label: "As" },
    { name: "cooldown", value: writeSpan(rule?.cooldown ?? "300s"), label: "Not again within", check: (text) => checkSpan(text, { most: 604800 }), help: "15min, 1h, 1d; at most 7 days" },
    // A new one judges: that is what it is made for.
    rule ? { name: "enabled", kind: "check", value: rule.enabled, label: "Judges" } : null,
    { name: "channels", kind: "checks", options: [...new Set([...known.channels, ...(rule?.channels ?? [])])], value: rule?.channels, label: "Channels", help: "none chosen: those of the level" },
    { name: "notes", kind: "area", value: rule?.notes, label: "Notes", max_length: 2000, help: "for yourself; never told" },
  ].filter(Boolean);
  const made = form({
    fields,
    label: "Price rule",
    cancel: () => dialog.close(),
    act: {
      label: rule ? "Save" : "Add",
      send: async (values) => {
        const body = { ...values, cooldown: toDuration(parseSpan(values.cooldown) ?? 0) };
        const after = rule ? await patch(path(rule.id), { ...body, id: rule.id, etag: rule.etag }, EDITED) : await post("/v1/rules", body);
        say(`${after.asset} ${sentence(after)}: ${rule ? "changed" : "waited for"}.`);
        await reload();
        dialog.close();
      },
    },
    // The text that was typed stays on the screen until the newer rule is opened.
    conflict: async () => {
      dialog.close();
      edit(await get(path(rule.id)), known, reload);
    },
  });
  const dialog = open(rule ? `Rule of ${rule.asset}` : "New price rule", made.node);
}
