// One hedge: its figures, its corridor on an axis of prices, the ladder beyond, and the advice.

import { age } from "/web/ages.js";
import { get, patch } from "/web/api.js";
import { h, pill, scroller, show, unknown } from "/web/dom.js";
import { open } from "/web/dialog.js";
import { form } from "/web/form.js";
import { code, plain, present, price, usd } from "/web/format.js";
import { advice } from "/web/hedges/advice.js";
import { corridor } from "/web/hedges/corridor.js";
import { say } from "/web/toast.js";

const path = (id, verb = "") => `/v1/hedges/${encodeURIComponent(id)}${verb}`;

/** {node, take(hedge)} */
export function hedgeCard(first, isOpen) {
  let held = first;
  let read = "";
  const summary = h("summary", { data: { key: `hedge ${first.id}` } });
  const axis = h("div", { class: "axis-place" });
  const legs = scroller("Members");
  const note = h("p", { class: "note" });
  const advised = advice(() => path(held.id, ":adviseRebalance"));
  const edit = h("button", { type: "button", class: "link", on: { click: () => annotate(held, take) } }, "Note");
  const node = h("details", { class: "panel hedge-card", open: isOpen, data: { hedge: first.id } }, summary, note, axis, legs, advised.node, h("div", { class: "actions foot" }, edit));
  node.addEventListener("toggle", () => node.open && more());

  async function more() {
    read = held.updated_time;
    try {
      const answer = await get(path(held.id, "/corridor"));
      show(axis, corridor(held, answer));
      show(legs, legTable(answer.legs));
      advised.refresh();
    } catch (problem) {
      show(axis, h("p", { class: "failed", role: "alert" }, `Not read: ${problem.message}`));
    }
  }

  function take(hedge) {
    held = hedge;
    show(summary, head(hedge));
    note.textContent = hedge.note ?? "";
    note.hidden = !hedge.note;
    if (node.open && read !== hedge.updated_time) more();
  }

  take(first);
  return { node, take };
}

function head(hedge) {
  const [long, short] = [Number(hedge.total_long_size_usd ?? 0), Number(hedge.total_short_size_usd ?? 0)];
  const share = long + short > 0 ? (100 * long) / (long + short) : 50;
  const signed = (value) => usd(value, { sign: true });
  return [
    h("span", { class: "line wraps" }, h("b", {}, hedge.asset), hedge.stale ? pill("STALE", "state-old") : null, h("span", { class: "subject" }, `${hedge.wallet} · ${hedge.member_count} positions`), h("span", { class: "row-acts" }, age(hedge.updated_time, { coloured: true }))),
    h("span", { class: "balance", style: { "--share": `${share}%` } }, h("span", { class: "side-long" }, `long ${usd(long)}`), h("i"), h("span", { class: "side-short" }, `short ${usd(short)}`)),
    h(
      "span",
      { class: "line figures" },
      figure("ratio long / short", hedge.hedge_ratio, (value) => plain(value, 2)),
      figure("net delta", hedge.net_delta_usd, signed, present(hedge.net_delta_tokens) ? `${plain(hedge.net_delta_tokens, 4)} ${hedge.asset}` : ""),
      figure("imbalance", hedge.imbalance_usd, signed),
      figure("net profit", hedge.net_pnl_usd, signed, "", Number(hedge.net_pnl_usd) < 0 ? "loss" : "gain"),
      figure("heat", hedge.total_heat, (value) => plain(value, 0), `long ${present(hedge.long_heat) ? plain(hedge.long_heat, 0) : "?"}, short ${present(hedge.short_heat) ? plain(hedge.short_heat, 0) : "?"}`),
    ),
  ];
}

function figure(label, value, write, below = "", tone = "") {
  return h("span", { class: "figure" }, h("small", {}, label), h("span", { class: `n ${tone}` }, present(value) ? write(value) : unknown(label)), below ? h("small", {}, below) : null);
}

function legTable(legs) {
  const columns = ["Member", "Size", "Collateral", "Tokens", "Entry", "Mark", "Liquidation", "Mark age"];
  const cell = (label, value, write) => h("td", { class: "n", data: { label } }, present(value) ? write(value) : unknown(label));
  const row = (leg) => {
    const side = code(leg.side, "SIDE_");
    return h(
      "tr",
      {},
      h("td", {}, h("span", { class: `side side-${side.toLowerCase()}` }, side), " ", h("a", { class: "plain-link", href: `/positions/${encodeURIComponent(leg.position_id)}` }, leg.position_id), leg.wallet ? h("small", {}, ` ${leg.wallet}, ${leg.venue}`) : null, leg.stale ? pill("STALE", "state-old") : null),
      cell("Size", leg.size_usd, usd),
      cell("Collateral", leg.collateral_usd, usd),
      cell("Tokens", leg.tokens, (value) => plain(value, 4)),
      cell("Entry", leg.entry_price_usd, price),
      cell("Mark", leg.mark_price_usd, price),
      leg.spot ? h("td", { class: "n", data: { label: "Liquidation" } }, "none: spot") : cell("Liquidation", leg.liquidation_price_usd, price),
      h("td", { class: "n", data: { label: "Mark age" } }, age(leg.mark_time, { coloured: true })),
    );
  };
  const head = h("tr", {}, columns.map((name, place) => h("th", { scope: "col", class: place ? "n" : "" }, h("span", { class: "title" }, name))));
  return h("table", { class: "grid", "aria-label": "Members" }, h("thead", {}, head), h("tbody", {}, legs.map(row)));
}

function annotate(hedge, take) {
  const send = async ({ note }) => {
    take(await patch(path(hedge.id), { id: hedge.id, note, etag: hedge.etag }, ["note"]));
    say("The note is kept for as long as the hedge lasts.");
    dialog.close();
  };
  const again = async () => {
    dialog.close();
    annotate(await get(path(hedge.id)), take);
  };
  const made = form({ label: "Note", fields: [{ name: "note", label: "Note", kind: "area", value: hedge.note, max_length: 2000 }], cancel: () => dialog.close(), act: { label: "Save", send }, conflict: again });
  const dialog = open(`Note of the ${hedge.asset} hedge`, made.node);
}
