// Snapshots of the totals: every cycle's, and those entered by hand.

import { get, post, remove } from "/web/api.js";
import { h, pill } from "/web/dom.js";
import { confirm, open } from "/web/dialog.js";
import { form } from "/web/form.js";
import { present, plain, times, usd } from "/web/format.js";
import { keepTable, query, table } from "/web/table.js";
import { busy, say } from "/web/toast.js";

export function snapshots(part, changed) {
  const enter = h("button", { type: "button", class: "second", on: { click: () => add(again) } }, "Enter by hand");
  part.head.append(h("div", { class: "tools" }, enter));
  const grid = table({
    name: "rows",
    key: (one) => one.id,
    order: "snapshot_time desc",
    pageSize: 15,
    filters: [{ name: "manual_only", label: "Which", options: [["", "all"], ["true", "by hand"]] }],
    columns: [
      { title: "When", order: "snapshot_time", cell: (one) => h("time", { class: "n", datetime: one.snapshot_time }, new Date(one.snapshot_time).toLocaleString()) },
      { title: "Value", numeric: true, cell: (one) => figure(one.totals.total_value_usd, usd) },
      { title: "Collateral", numeric: true, cell: (one) => figure(one.totals.total_collateral_usd, usd) },
      { title: "Size", numeric: true, cell: (one) => figure(one.totals.total_size_usd, usd) },
      { title: "Profit", numeric: true, cell: (one) => figure(one.totals.total_pnl_usd, (value) => usd(value, { sign: true })), kind: (one) => (Number(one.totals.total_pnl_usd) < 0 ? "loss" : "gain") },
      { title: "Leverage", numeric: true, cell: (one) => figure(one.totals.avg_leverage_ratio, times) },
      { title: "Heat", numeric: true, cell: (one) => figure(one.totals.avg_heat_index, (value) => plain(value, 1)) },
      { title: "From", cell: (one) => [one.manual ? pill("BY HAND", "level-LOW") : one.cycle_id ? h("a", { class: "plain-link", href: `/cycles/${encodeURIComponent(one.cycle_id)}` }, "cycle") : "", one.totals.stale ? pill("STALE", "state-old") : null, one.note ? h("small", {}, one.note) : null] },
      { title: "Act", numeric: true, cell: (one) => h("button", { type: "button", class: "second small", "aria-label": `Delete snapshot ${one.id}`, on: { click: (event) => busy(event.target, () => drop(one, again)) } }, "Delete") },
    ],
    fetch: async ({ page_token, page_size, order_by, manual_only }) => {
      const { snapshots: rows, next_page_token: next } = await get(`/v1/snapshots${query({ page_token, page_size, order_by, manual_only })}`);
      return { rows, next };
    },
    none: "No snapshot yet; every cycle records one.",
  });
  const kept = keepTable(part, grid);
  function again() {
    changed();
    return kept.refresh();
  }
  return kept;
}

const figure = (value, write) => (present(value) ? write(value) : h("span", { class: "absent", title: "not known" }, "?"));

async function drop(one, again) {
  if (!(await confirm({ title: "Delete this snapshot?", text: `${new Date(one.snapshot_time).toLocaleString()}: ${usd(one.totals.total_value_usd)}. Trend and sessions are read without it.`, act: "Delete", danger: true }))) return;
  await remove(`/v1/snapshots/${one.id}`);
  say("The snapshot was deleted.");
  again();
}

function add(again) {
  const fields = [
    { name: "total_value_usd", label: "Value", kind: "number", unit: "$", required: true },
    { name: "total_collateral_usd", label: "Collateral", kind: "number", unit: "$", min: 0 },
    { name: "total_size_usd", label: "Size", kind: "number", unit: "$", min: 0 },
    { name: "snapshot_time", label: "When", kind: "datetime", help: "empty: now" },
    { name: "note", label: "Note", kind: "area", max_length: 2000 },
  ];
  const send = async ({ note, snapshot_time, ...totals }) => {
    await post("/v1/snapshots", { note, ...(snapshot_time ? { snapshot_time } : {}), totals });
    say("The entry was added.");
    await again();
    dialog.close();
  };
  const made = form({ label: "Snapshot", fields, cancel: () => dialog.close(), act: { label: "Add", send } });
  const dialog = open("A snapshot by hand", made.node);
}
