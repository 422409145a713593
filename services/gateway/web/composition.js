// What the size is made of: asset by asset, long and short.

import { h } from "/web/dom.js";
import { code, plain, present, usd } from "/web/format.js";

const SHOWN = 6;

/** Bars by asset and side, the largest first; `rest` is the size that is not among these rows, USD. */
export function composition(rows, totals) {
  const sums = new Map();
  for (const { asset, side, size_usd: size, collateral_usd: collateral } of rows) {
    if (!present(size)) continue;
    const key = `${asset} ${code(side, "SIDE_").toLowerCase()}`;
    const sum = sums.get(key) ?? { asset, side: code(side, "SIDE_").toLowerCase(), size: 0, collateral: 0 };
    sum.size += size;
    sum.collateral += collateral ?? 0;
    sums.set(key, sum);
  }
  const total = Number(totals.total_size_usd);
  const sorted = [...sums.values()].sort((one, other) => other.size - one.size);
  const shown = sorted.slice(0, SHOWN);
  const rest = total - shown.reduce((sum, one) => sum + one.size, 0);
  const collateral = totals.total_collateral_usd - shown.reduce((sum, one) => sum + one.collateral, 0);
  if (rest > total * 1e-6) shown.push({ asset: "others", side: "", size: rest, collateral });
  return h("div", { class: "composition" }, shown.map((one) => row(one, total)));
}

function row({ asset, side, size, collateral }, total) {
  const share = total > 0 ? (100 * size) / total : 0;
  return h(
    "div",
    { class: "share" },
    h("span", {}, h("b", {}, asset), " ", h("span", { class: `side side-${side}` }, side.toUpperCase())),
    h("span", { class: "track-of", "aria-hidden": "true" }, h("i", { class: `of-${side || "rest"}`, style: { "--share": `${share}%` } })),
    h("span", { class: "n" }, `${plain(share, 0)} %`),
    h("span", { class: "n" }, usd(size)),
    h("span", { class: "n muted" }, `${usd(collateral)} coll.`),
  );
}
