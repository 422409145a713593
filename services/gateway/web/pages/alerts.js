// Alerts: what is raised and what is quiet, with what can be done; and the ledger of every change.

import { age } from "/web/ages.js";
import { addAlert } from "/web/alert_form.js";
import { alertItem } from "/web/alert_item.js";
import { get } from "/web/api.js";
import { empty, h, pill, show } from "/web/dom.js";
import { code, reading, present, word } from "/web/format.js";
import { setQuery } from "/web/router.js";
import { keep, panel } from "/web/states.js";
import { keepTable, query as text, table } from "/web/table.js";
import { busy } from "/web/toast.js";
import { toldOf } from "/web/told.js";

export const title = "Alerts";

const PAGE = 50;
const FILTERS = [
  ["min_level", "Level", [["LEVEL_LOW", "raised"], ["LEVEL_MEDIUM", "MEDIUM and above"], ["LEVEL_HIGH", "HIGH"], ["ANY", "all, quiet ones too"]]],
  ["alert_class", "About", [["", "anything"], ["ALERT_CLASS_POSITION", "positions"], ["ALERT_CLASS_ACCOUNT", "accounts"], ["ALERT_CLASS_PORTFOLIO", "portfolio"], ["ALERT_CLASS_MARKET", "market"], ["ALERT_CLASS_SYSTEM", "system"]]],
  ["status", "Status", [["", "any"], ["ALERT_STATUS_ACTIVE", "told"], ["ALERT_STATUS_ACKNOWLEDGED", "acknowledged"], ["ALERT_STATUS_SILENCED", "silenced"], ["ALERT_STATUS_INACTIVE", "not judged"]]],
];

export function mount(root, { query }) {
  const chosen = Object.fromEntries([...FILTERS.map(([name]) => name), "asset", "position_id"].map((name) => [name, query.get(name) ?? ""]));
  const tokens = [""];
  const part = panel("Alerts", { wide: true, rows: 10, id: "alerts-panel", tools: [h("button", { type: "button", class: "second", on: { click: () => addAlert(() => kept.refresh(), chosen) } }, "Add alert")] });
  const list = h("div", { class: "list" });
  const choose = (name, value) => {
    chosen[name] = value;
    tokens.splice(0, tokens.length, "");
    setQuery(chosen);
    kept.refresh();
  };
  const back = pageButton("‹ Back", () => tokens.pop());
  const on = pageButton("Next ›", () => tokens.push(next));
  const pages = h("nav", { class: "pages", "aria-label": "Pages of alerts", hidden: true }, back, on);
  let next = "";
  const frame = [filters(chosen, choose), list, pages];

  function pageButton(label, turn) {
    return h("button", { type: "button", class: "second", on: { click: () => (turn(), kept.refresh()) } }, label);
  }

  const page = () => get(`/v1/alerts${text({ ...chosen, min_level: chosen.min_level === "ANY" ? "" : chosen.min_level || "LEVEL_LOW", page_size: PAGE, page_token: tokens.at(-1) })}`);
  // Who was told is worth showing, and no reason to show nothing.
  const read = async () => {
    const answer = await page();
    return [answer, await toldOf(...answer.alerts).catch(() => [])];
  };
  const display = ([answer, told]) => {
    if (list.parentNode !== part.body) show(part.body, frame);
    next = answer.next_page_token;
    const shown = answer.alerts;
    part.setCount(`${shown.length}${next ? " shown, there are more" : ""}`);
    show(list, shown.length ? shown.map((alert) => alertItem(alert, kept.refresh, told)) : empty(chosen.min_level === "ANY" ? "No alert fits." : "Nothing of this is raised."));
    pages.hidden = tokens.length === 1 && next === "";
    back.disabled = tokens.length === 1;
    on.disabled = next === "";
  };
  const kept = keep(part, read, display);
  const ledger = keepLedger(query);
  root.append(h("h1", { class: "hidden-title" }, title), part.node, ledger.node);
  return () => {
    kept.stop();
    ledger.stop();
  };
}

function filters(chosen, choose) {
  const selects = FILTERS.map(([name, label, options]) => h("label", {}, h("span", {}, label), h("select", { data: { filter: name }, on: { change: (event) => choose(name, event.target.value) } }, options.map(([value, words]) => h("option", { value, selected: value === chosen[name] }, words)))));
  const texts = [["asset", "Asset"], ["position_id", "Position"]].map(([name, label]) => {
    let timer = 0;
    const take = (event) => {
      clearTimeout(timer);
      timer = setTimeout(choose, 300, name, event.target.value.trim());
    };
    return h("label", {}, h("span", {}, label), h("input", { type: "search", value: chosen[name], placeholder: "any", autocomplete: "off", on: { input: take } }));
  });
  return h("div", { class: "filters", role: "search" }, selects, texts);
}

function keepLedger() {
  const told = h("span", { class: "count", role: "status" });
  const verify = h("button", { type: "button", class: "second", on: { click: (event) => busy(event.currentTarget, async () => show(told, verdict(await get("/v1/ledger:verify")))) } }, "Verify");
  const part = panel("Ledger", { wide: true, rows: 8, id: "ledger-panel", tools: [told, verify] });
  const grid = table({
    name: "ledger",
    pageSize: PAGE,
    none: "Nothing was changed yet.",
    key: (entry) => entry.sequence,
    columns: [
      { title: "When", cell: (entry) => age(entry.entry_time, { after: " ago" }) },
      { title: "Row", numeric: true, cell: (entry) => entry.sequence },
      { title: "About", cell: (entry) => `${word(entry.type, "ALERT_TYPE_")} ${entry.subject}` },
      { title: "What", cell: (entry) => `${word(entry.reason)} by ${entry.actor}` },
      { title: "Level", cell: (entry) => [code(entry.level_before, "LEVEL_"), " → ", pill(code(entry.level_after, "LEVEL_"), `level-${code(entry.level_after, "LEVEL_")}`)] },
      { title: "Value", numeric: true, cell: (entry) => (present(entry.value) ? reading(metric(entry), entry.value) : "–") },
      { title: "Hash", cell: (entry) => h("code", { title: entry.hash }, entry.hash.slice(0, 10)) },
    ],
    fetch: async ({ page_size, page_token }) => {
      const answer = await get(`/v1/ledger${text({ page_size, page_token })}`);
      return { rows: answer.entries, next: answer.next_page_token };
    },
  });
  return { node: part.node, ...keepTable(part, grid) };
}

function metric(entry) {
  try {
    return JSON.parse(entry.inputs_json).formula ?? "";
  } catch {
    return "";
  }
}

function verdict(found) {
  if (!found.intact) return pill(`NOT INTACT: row ${found.first_bad_sequence}, ${found.problem}`, "level-HIGH");
  const open = Number(found.unanchored_count) ? `, ${found.unanchored_count} after the head last sent outside` : "";
  return pill(`intact: ${found.entry_count} rows${open}`, "run-SUCCESS");
}
