// One asset: its chart, the quotes of the last refresh, and its history with what a person may do to it.

import { age } from "/web/ages.js";
import { get, patch, post, remove } from "/web/api.js";
import { draw } from "/web/charts.js";
import { empty, h, pill, show, unknown } from "/web/dom.js";
import { confirm, open } from "/web/dialog.js";
import { form } from "/web/form.js";
import { code, percent, present, price, signed, word } from "/web/format.js";
import { keep, panel } from "/web/states.js";
import { keepTable, query, table } from "/web/table.js";
import { busy, say } from "/web/toast.js";

const SPANS = [["INTERVAL_MINUTE", "4 h", 240], ["INTERVAL_FIVE_MINUTES", "1 day", 288], ["INTERVAL_HOUR", "2 weeks", 336], ["INTERVAL_DAY", "1 year", 365]];

/** Fills `place`; {stop}. */
export function asset(place, name, changed) {
  const path = `/v1/prices/${encodeURIComponent(name)}`;
  let span = 0;
  const buttons = SPANS.map(([, text], at) => h("button", { type: "button", "aria-pressed": String(at === span), on: { click: () => pick(at) } }, text));
  const pick = (at) => {
    span = at;
    buttons.forEach((button, each) => button.setAttribute("aria-pressed", String(each === at)));
    kept[0].refresh();
  };
  const chart = panel(`${name} over time`, { wide: true, rows: 7, id: "chart", tools: [h("span", { class: "seg", role: "group", "aria-label": "Span" }, buttons)] });
  const quotes = panel("Quotes of the last refresh", { wide: true, rows: 3, id: "quotes" });
  const insert = h("button", { type: "button", class: "second", on: { click: () => edit(name, null, again) } }, "Insert by hand");
  const past = panel("History", { wide: true, rows: 8, id: "history", tools: [insert] });
  const plot = h("div", { class: "chart", tabindex: "0", role: "group", "aria-label": `Price of ${name}` });
  show(place, chart.node, quotes.node, past.node);
  const grid = history(path, (record) => edit(name, record, again), again);
  const kept = [
    keep(chart, () => get(`${path}/candles?interval=${SPANS[span][0]}&page_size=${SPANS[span][2]}`), (answer) => showChart(chart, plot, name, answer)),
    keep(quotes, () => get(path), (found) => showQuotes(quotes, found)),
    keepTable(past, grid),
  ];
  function again() {
    changed();
    return Promise.all(kept.map((one) => one.refresh()));
  }
  return { stop: () => kept.forEach((one) => one.stop()) };
}

/** Gaps are gaps: nothing is drawn across. */
function showChart(part, plot, name, { candles, gaps }) {
  const rows = [...candles.map((one) => ({ at: Date.parse(one.start_time) / 1000, one })), ...(gaps ?? []).map((gap) => ({ at: Date.parse(gap.start_time) / 1000, one: null }))].sort((a, b) => a.at - b.at);
  const figures = (field) => rows.map(({ one }) => (one ? one[field] : null));
  if (plot.parentNode !== part.body) show(part.body, plot);
  draw(plot, {
    at: rows.map(({ at }) => at),
    lines: [
      { label: "Highest", values: figures("high_usd"), colour: "faint", width: 1, gaps: false },
      { label: "Lowest", values: figures("low_usd"), colour: "faint", width: 1, gaps: false },
      { label: name, values: figures("close_usd"), colour: "accent", width: 1.8, gaps: false, points: candles.length < 3 },
    ],
    bands: [[0, 1, "faint"]],
    none: "No price of this span is known.",
  });
  const missing = (gaps ?? []).reduce((sum, gap) => sum + Number(gap.interval_count), 0);
  part.setCount(missing ? `${missing} intervals without a price are left empty` : "");
}

function showQuotes(part, found) {
  const quotes = found.quotes ?? [];
  const used = quotes.filter((one) => one.used);
  const values = used.map((one) => Number(one.price_usd));
  const spread = values.length > 1 ? ` within ${percent(100 * (Math.max(...values) / Math.min(...values) - 1), 3)}` : "";
  const range = present(found.high_24h_usd) && present(found.low_24h_usd) ? `; 24 h ${price(found.low_24h_usd)} to ${price(found.high_24h_usd)}` : "";
  part.setCount(`${used.length} of ${quotes.length} agree${spread}${range}`);
  const row = (one) => h(
    "div",
    { class: `item quote ${one.used ? "" : "refused"}` },
    h("div", { class: "line wraps" }, h("b", {}, one.source), h("span", { class: "n" }, present(one.price_usd) ? price(one.price_usd) : unknown("price")), one.used ? pill("USED", "run-SUCCESS") : pill("REFUSED", "level-MEDIUM"), one.used ? null : h("span", { class: "moved" }, word(one.dropped_reason)), present(one.confidence_usd) ? h("span", { class: "subject n" }, `± ${price(one.confidence_usd)}`) : null, (one.notes ?? []).map((note) => h("span", { class: "flag soft" }, word(note))), h("span", { class: "when n" }, one.price_time ? age(one.price_time, { coloured: true }) : "")),
  );
  show(part.body, quotes.length ? h("div", { class: "list" }, quotes.map(row)) : empty("No quote: the price was entered by hand, or no refresh ran yet."));
}

function history(path, change, again) {
  const act = (text, record, run) => h("button", { type: "button", class: "second small", "aria-label": `${text} ${record.id}`, on: { click: (event) => busy(event.target, async () => run()) } }, text);
  const moved = (record) => (Number(record.previous_price_usd) > 0 ? 100 * (record.price_usd / record.previous_price_usd - 1) : NaN);
  return table({
    name: "records",
    key: (record) => record.id,
    pageSize: 15,
    filters: [{ name: "source", label: "Source" }],
    columns: [
      { title: "When", cell: (record) => h("time", { class: "n", datetime: record.price_time }, new Date(record.price_time).toLocaleString()) },
      { title: "Price", numeric: true, cell: (record) => price(record.price_usd) },
      { title: "Move", numeric: true, cell: (record) => (Number.isFinite(moved(record)) ? signed(moved(record), percent(moved(record), 2)) : ""), kind: (record) => (moved(record) > 0 ? "gain" : moved(record) < 0 ? "loss" : "") },
      { title: "Quality", cell: (record) => word(record.quality, "QUALITY_") },
      { title: "Source", cell: (record) => (record.source === "MANUAL" ? pill("BY HAND", "level-LOW") : record.source) },
      { title: "Act", numeric: true, cell: (record) => h("span", { class: "row-acts" }, act("Correct", record, () => change(record)), act("Delete", record, () => drop(record, again))) },
    ],
    fetch: async ({ page_token, page_size, source }) => {
      const { records, next_page_token: next } = await get(`${path}/history${query({ page_token, page_size, source })}`);
      return { rows: records, next };
    },
    none: "No row fits.",
  });
}

async function drop(record, again) {
  const text = `${record.asset} ${price(record.price_usd)} of ${new Date(record.price_time).toLocaleString()}. The row after it, and the present price, follow.`;
  if (!(await confirm({ title: "Delete this price?", text, act: "Delete", danger: true }))) return;
  await remove(`/v1/price-records/${record.id}`);
  say("The price was deleted.");
  again();
}

function edit(name, record, again) {
  const fields = [
    { name: "price_usd", label: "Price", kind: "number", unit: "$", required: true, above: 0, value: record?.price_usd },
    { name: "price_time", label: "When it was true", kind: "datetime", value: record?.price_time, help: record ? "" : "empty: now", check: (time) => (time && Date.parse(time) > Date.now() + 60000 ? "is in the future" : undefined) },
  ];
  const send = async ({ price_usd, price_time }) => {
    // The field shows minutes: a time nobody touched stays to the microsecond.
    const same = record && price_time && Math.abs(Date.parse(price_time) - Date.parse(record.price_time)) < 60000;
    const body = { price_usd, ...(price_time && !same ? { price_time } : {}) };
    if (record) await patch(`/v1/price-records/${record.id}`, { id: record.id, ...body }, Object.keys(body));
    else await post(`/v1/prices/${encodeURIComponent(name)}/history`, body);
    say(record ? "Corrected; its source is MANUAL from now on." : "Inserted; it holds until a refresh finds a newer one.");
    await again();
    dialog.close();
  };
  const made = form({ label: "Price", fields, cancel: () => dialog.close(), act: { label: record ? "Correct" : "Insert", send } });
  const dialog = open(record ? `Correct a price of ${code(record.asset, "")}` : `A price of ${name} by hand`, made.node);
}
