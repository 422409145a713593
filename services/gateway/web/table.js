// Tables that the server orders and pages. A row that stays keeps its element: nothing jumps, no focus is lost, and the
// page does not grow however often it is read anew.

import { empty, h, keepRows, scroller, show } from "/web/dom.js";
import { keep } from "/web/states.js";

/**
 * columns: [{title, order, numeric, label, cell(row) -> node or text or list, kind(row) -> class}]
 *   `order` is the server's name of the field; without one the column cannot be ordered by.
 * key(row): what a row is known by. rowClass(row): class of the row.
 * fetch({order_by, page_token, page_size, ...filter}) -> {rows, next}: one page.
 * filters: [{name, label, options or none (a text)}]; `filter` holds what is chosen at first.
 * chosen({order_by, ...filter}): hears of every choice, e.g. setQuery.
 * The table is kept true in a panel by `keepTable(part, table({...}))`, which returns what `keep` does.
 */
export function table({ name, columns, key, fetch, rowClass = () => "", order = "", filters = [], filter = {}, chosen = () => {}, pageSize = 50, none = "Nothing here." }) {
  let refresh = () => {};
  const state = { order, filter: { ...filter }, tokens: [""], next: "" };
  const rows = new Map();
  const head = h("tr");
  const body = h("tbody");
  const grid = h("table", { class: `grid ${name}`, "aria-label": name }, h("thead", {}, head), body);
  const nothing = h("div", { hidden: true }, empty(none));
  const back = pageButton("‹ Back", () => state.tokens.pop());
  const on = pageButton("Next ›", () => state.tokens.push(state.next));
  const where = h("span", { class: "count", "aria-live": "polite" });
  const pages = h("nav", { class: "pages", "aria-label": `Pages of ${name}`, hidden: true }, back, where, on);
  const search = filters.length ? h("div", { class: "filters", role: "search" }, filters.map(filterField)) : null;
  const node = h("div", {}, search, scroller(name, grid), nothing, pages);

  function pageButton(text, turn) {
    return h("button", { type: "button", class: "second", on: { click: () => (turn(), refresh()) } }, text);
  }

  function first(changes) {
    Object.assign(state, changes, { tokens: [""] });
    chosen({ order_by: state.order, ...state.filter });
    heading();
    refresh();
  }

  function filterField({ name: field, label, options }) {
    let timer = 0;
    const take = (event) => {
      clearTimeout(timer);
      const value = event.target.value.trim();
      timer = setTimeout(() => first({ filter: { ...state.filter, [field]: value } }), options ? 0 : 300);
    };
    const value = state.filter[field] ?? "";
    const input = options
      ? h("select", { on: { change: take } }, options.map(([code, text]) => h("option", { value: code, selected: code === value }, text)))
      : h("input", { type: "search", value, autocomplete: "off", placeholder: "any", on: { input: take } });
    return h("label", {}, h("span", {}, label), input);
  }

  function heading() {
    const [field, down] = state.order.split(" ");
    show(head, columns.map((column) => {
      const kind = column.numeric ? "n" : "";
      if (!column.order) return h("th", { scope: "col", class: kind }, h("span", { class: "title" }, column.title));
      const is = field === column.order;
      const turned = is && !down ? `${column.order} desc` : column.order;
      const sort = is ? (down ? "descending" : "ascending") : "none";
      const arrow = h("span", { class: "arrow", "aria-hidden": "true" }, is ? (down ? "↓" : "↑") : "");
      return h("th", { scope: "col", class: kind, "aria-sort": sort }, h("button", { type: "button", data: { key: column.title }, on: { click: () => first({ order: turned }) } }, column.numeric ? [arrow, column.title] : [column.title, arrow]));
    }));
  }

  function line(first) {
    const made = { node: h("tr", { data: { row: key(first) } }), text: null };
    made.take = (row) => {
      const text = JSON.stringify(row);
      const kind = rowClass(row);
      if (made.node.className !== kind) made.node.className = kind;
      if (text !== made.text) show(made.node, columns.map((column) => cell(column, row)));
      made.text = text;
    };
    return made;
  }

  function display({ rows: found, next = "" }) {
    state.next = next;
    keepRows(body, rows, found, line, key);
    nothing.hidden = found.length > 0;
    grid.hidden = found.length === 0;
    const number = state.tokens.length;
    pages.hidden = number === 1 && next === "";
    back.disabled = number === 1;
    on.disabled = next === "";
    where.textContent = `page ${number}`;
  }

  heading();
  return {
    node,
    display,
    state,
    /** Every row is written anew at the next display: what it shows besides its own figures changed. */
    forget: () => rows.forEach((held) => (held.text = null)),
    fetch: () => fetch({ order_by: state.order, page_token: state.tokens.at(-1), page_size: pageSize, ...state.filter }),
    onChange: (act) => (refresh = act),
  };
}

function cell(column, row) {
  const kind = [column.numeric ? "n" : "", column.kind?.(row) ?? ""].join(" ").trim();
  return h("td", { class: kind, data: { label: column.label ?? column.title } }, column.cell(row));
}

/** Shows a table in a panel and keeps it true; see keep. */
export function keepTable(part, grid, settings = {}) {
  const kept = keep(part, grid.fetch, (answer) => {
    if (grid.node.parentNode !== part.body) show(part.body, grid.node);
    grid.display(answer);
  }, settings);
  grid.onChange(kept.refresh);
  return kept;
}

/** A query text of what is set. */
export function query(values) {
  const made = new URLSearchParams();
  for (const [name, value] of Object.entries(values)) if (value !== "" && value !== undefined && value !== null) made.set(name, String(value));
  const text = made.toString();
  return text ? `?${text}` : "";
}
