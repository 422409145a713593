// What is held in sum: value, profit, size, and the means by size.

import { age } from "/web/ages.js";
import { h, show, unknown } from "/web/dom.js";
import { heatBand, percent, plain, present, signed, times, usd } from "/web/format.js";
import { travelClass } from "/web/liquidation_bar.js";

export function showTotals(place, totals) {
  const size = Number(totals.total_size_usd);
  const longShare = size > 0 ? (100 * totals.total_long_size_usd) / size : NaN;
  // Where a wallet could not be read, nothing is not $0.
  const money = (value, how) => (totals.stale && !Number(totals.position_count) ? null : usd(value, how));
  const missing = (name) => Number(totals.absent_count?.[name] ?? 0);
  const tiles = [
    tile("Value", money(totals.total_value_usd), "", `of ${money(totals.total_collateral_usd) ?? "unknown"} collateral`, "lead"),
    tile("Profit and loss", money(totals.total_pnl_usd, { sign: true }), tone(totals.total_pnl_usd), "before fees", "lead"),
    tile("Size", money(totals.total_size_usd), "", sides(totals, longShare), "lead"),
    tile("Leverage", known(totals.avg_leverage_ratio, times), "", `mean by size${note(missing("leverage_ratio"))}`),
    tile("Travel", known(totals.avg_travel_percent, (value) => signed(value, percent(value))), travelClass(totals.avg_travel_percent), `mean by size${note(missing("travel_percent"))}`),
    tile("Heat", known(totals.avg_heat_index, plain), banded(totals.avg_heat_index, heatBand), `mean by size${note(missing("heat_index"))}`),
    tile("Value / collateral", known(totals.value_to_collateral_ratio, (value) => plain(value, 3)), "", positions(totals)),
  ];
  show(place, tiles);
}

function tile(label, figure, kind, below, weight = "") {
  return h("div", { class: `tile ${weight}` }, h("span", { class: "label" }, label), h("strong", { class: `n ${kind}` }, figure ?? unknown(label)), h("small", {}, below));
}

const known = (value, write) => (present(value) ? write(value) : null);
const banded = (value, judge) => (present(value) ? `band-${judge(Number(value))}` : "");
const tone = (value) => (Number(value) < 0 ? "loss" : Number(value) > 0 ? "gain" : "");
const note = (count) => (count > 0 ? `, ${count} unknown` : "");

function sides(totals, longShare) {
  if (!Number.isFinite(longShare)) return "no position";
  const title = `long ${usd(totals.total_long_size_usd)}, short ${usd(totals.total_short_size_usd)}`;
  return h(
    "span",
    { class: "sides", title, style: { "--share": `${longShare}%` } },
    h("span", { class: "side-long" }, `long ${plain(longShare, 0)} %`),
    h("i"),
    h("span", { class: "side-short" }, `short ${plain(100 - longShare, 0)} %`),
  );
}

function positions(totals) {
  const stale = Number(totals.stale_count);
  const oldest = totals.oldest_mark_time ? ["oldest mark ", age(totals.oldest_mark_time, { coloured: true })] : [];
  return h("span", {}, `${totals.position_count} positions${stale ? `, ${stale} stale` : ""}`, oldest.length ? ", " : "", ...oldest);
}
