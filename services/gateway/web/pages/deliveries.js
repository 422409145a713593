// Deliveries: who was told what, by which way, and whether it arrived; the ways themselves.

import { get } from "/web/api.js";
import { empty, h, keepRows, show } from "/web/dom.js";
import { chain } from "/web/deliveries/chain.js";
import { channels } from "/web/deliveries/channels.js";
import { levels } from "/web/deliveries/levels.js";
import { message } from "/web/deliveries/message.js";
import { setQuery, sheet } from "/web/router.js";
import { keep, panel } from "/web/states.js";
import { query } from "/web/table.js";
import { busy } from "/web/toast.js";
import { versions } from "/web/versions.js";

export const title = "Deliveries";

const LEVELS = [["", "any level"], ["LEVEL_HIGH", "HIGH"], ["LEVEL_MEDIUM", "MEDIUM"], ["LEVEL_LOW", "LOW"], ["LEVEL_ACTION", "ACTION"]];
const SOURCES = [["", "any source"], ...["alerts", "monitor", "cyclone", "withdrawals", "test"].map((name) => [name, name])];
const PAGE = 25;

export function mount(root, { query: asked }) {
  sheet("lists");
  sheet("deliveries");
  const older = h("button", { type: "button", class: "second", on: { click: (event) => busy(event.target, () => versions("/v1/channelVersions", "channel settings", () => Promise.all(kept.slice(0, 3).map((one) => one.refresh())))) } }, "Versions");
  const ways = panel("Channels", { wide: true, rows: 6, id: "channels-panel", tools: [older] });
  const told = panel("Messages", { rows: 8, id: "messages" });
  const [by, next] = [panel("Channels of a level", { rows: 4, id: "levels" }), panel("Told next, when nobody acknowledges", { rows: 3, id: "escalation" })];
  root.append(h("h1", { class: "hidden-title" }, title), ways.node, told.node, h("div", { class: "column" }, by.node, next.node));
  const kept = [channels(ways), levels(by), chain(next), messages(told, asked)];
  return () => kept.forEach((one) => one.stop());
}

/** Message by message; one that stays keeps its element, and stays folded out. */
function messages(part, asked) {
  const wanted = { level: asked.get("level") ?? "", source: asked.get("source") ?? "" };
  const tokens = [""];
  const held = new Map();
  const list = h("div", { class: "list" });
  const nothing = h("div", {}, empty("Nobody was told anything yet."));
  const [back, on] = [turn("‹ Newer", () => tokens.pop()), turn("Older ›", () => tokens.push(following))];
  const pages = h("nav", { class: "pages", "aria-label": "Pages of messages" }, back, on);
  let following = "";

  function turn(text, act) {
    return h("button", { type: "button", class: "second", on: { click: () => (act(), kept.refresh()) } }, text);
  }
  const choose = (name, label, options) => {
    const take = (event) => {
      wanted[name] = event.target.value;
      tokens.length = 1;
      setQuery(wanted);
      kept.refresh();
    };
    return h("label", {}, h("span", {}, label), h("select", { on: { change: take } }, options.map(([value, text]) => h("option", { value, selected: value === wanted[name] }, text))));
  };
  const filters = h("div", { class: "filters", role: "search" }, choose("level", "Level", LEVELS), choose("source", "Said by", SOURCES));
  const whole = [filters, list, nothing, pages];

  function display({ messages: rows, next_page_token: token }) {
    following = token ?? "";
    if (list.parentNode !== part.body) show(part.body, whole);
    keepRows(list, held, rows, (row) => message(row, () => kept.refresh()));
    nothing.hidden = rows.length > 0;
    back.disabled = tokens.length === 1;
    on.disabled = following === "";
    pages.hidden = back.disabled && on.disabled;
  }

  const kept = keep(part, () => get(`/v1/messages${query({ page_size: PAGE, page_token: tokens.at(-1), ...wanted })}`), display, { every: 5000 });
  return kept;
}
