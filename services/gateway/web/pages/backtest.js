// Backtest: what limits would have told of a position in the past. Nothing is stored.

import { outcome } from "/web/backtest/outcome.js";
import { get, post } from "/web/api.js";
import { empty, h, show } from "/web/dom.js";
import { form } from "/web/form.js";
import { setQuery, sheet } from "/web/router.js";
import { keep, panel } from "/web/states.js";

export const title = "Backtest";

const PAGE = 500;
const HOUR_SECONDS = 3600;
// Interval, its name, days that are looked at, a start so often, the horizon; both in seconds.
const SPANS = [
  ["INTERVAL_HOUR", "a month by the hour", 30, 6 * HOUR_SECONDS, 7 * 86400],
  ["INTERVAL_HOUR", "a year by the hour", 365, 86400, 14 * 86400],
  ["INTERVAL_FIVE_MINUTES", "a week by 5 minutes", 7, HOUR_SECONDS, 2 * 86400],
];
const SIDES = [["BACKTEST_SIDE_LONG", "long"], ["BACKTEST_SIDE_SHORT", "short"]];
// Alarms at these shares of the distance make the curve.
const SHARES = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9];

export function mount(root, { query }) {
  sheet("lists");
  sheet("backtest");
  const ask = panel("Would it have told me?", { wide: true, rows: 5, id: "ask" });
  const place = h("div", { class: "wide outcome", id: "outcome" });
  root.append(h("h1", { class: "hidden-title" }, title), ask.node, place);
  let asked = null;
  let over = false;
  const kept = keep(ask, () => get("/v1/prices?page_size=500"), ({ prices }) => {
    if (asked) return;
    const assets = prices.map((one) => one.asset).sort();
    if (!assets.length) return show(ask.body, empty("No price is known yet; the next cycle asks for them."));
    asked = asking(assets, query, place, () => over);
    show(ask.body, h("p", { class: "words" }, "Past candles are judged by the functions of the cycle: the mark is the close, high and low raise. A position starts again and again, its liquidation price always as far away."), asked.node);
  });
  return () => {
    over = true;
    kept.stop();
  };
}

function asking(assets, query, place, isOver) {
  const held = (name, known, otherwise) => (known.includes(query.get(name)) ? query.get(name) : otherwise);
  const limit = (name, label) => ({ name, label, kind: "number", unit: "%", above: 0, max: 100, placeholder: "in force" });
  const fields = [
    { name: "asset", kind: "select", options: assets, value: held("asset", assets, assets[0]), label: "Asset" },
    { name: "side", kind: "select", options: SIDES, value: held("side", SIDES.map(([one]) => one), SIDES[0][0]), label: "Side" },
    { name: "distance", kind: "number", unit: "%", required: true, above: 0, max: 99, value: Number(query.get("distance")) || 10, label: "Liquidation away" },
    { name: "span", kind: "select", options: SPANS.map(([, label], at) => [String(at), label]), value: held("span", ["0", "1", "2"], "0"), label: "Candles" },
    limit("low", "LOW at"),
    limit("medium", "MEDIUM at"),
    limit("high", "HIGH at"),
  ];
  const send = async (values) => {
    const [interval, , days, every, horizon] = SPANS[Number(values.span)];
    setQuery({ asset: values.asset, side: values.side, distance: String(values.distance), span: values.span });
    const candles = await history(values.asset, interval, days, (count) => show(place, empty(`${count} candles of ${values.asset} …`)), isOver);
    if (isOver()) return;
    if (candles.start_seconds.length < 2) return show(place, empty(`Fewer than two candles of ${values.asset} are known there: sonic prices backfill ${values.asset} fetches them.`));
    const limits = Object.fromEntries(["low", "medium", "high"].filter((name) => values[name] !== undefined).map((name) => [name, values[name]]));
    const found = await post("/v1/backtests:run", {
      candles,
      asset: values.asset,
      side: values.side,
      liquidation_distance_percent: values.distance,
      ...(Object.keys(limits).length ? { limits } : {}),
      sweep: SHARES.map((share) => ({ high: Number((share * values.distance).toPrecision(6)) })),
      start_every: `${every}s`,
      horizon: `${horizon}s`,
      time_zone: Intl.DateTimeFormat().resolvedOptions().timeZone ?? "",
    });
    if (!isOver()) outcome(place, found);
  };
  return form({ label: "Backtest", fields, act: { label: "Judge the past", send } });
}

/** Ended candles as columns, page by page. */
async function history(asset, interval, days, told, isOver) {
  const start = new Date(Date.now() - days * 86400 * 1000).toISOString();
  const columns = { start_seconds: [], high_usd: [], low_usd: [], close_usd: [] };
  let token = "";
  do {
    const page = await get(`/v1/prices/${encodeURIComponent(asset)}/candles?${new URLSearchParams({ interval, start_time: start, page_size: String(PAGE), page_token: token })}`);
    for (const one of page.candles.filter((candle) => candle.complete)) {
      columns.start_seconds.push(Math.round(Date.parse(one.start_time) / 1000));
      for (const name of ["high_usd", "low_usd", "close_usd"]) columns[name].push(one[name]);
    }
    told(columns.start_seconds.length);
    token = page.next_page_token;
  } while (token && !isOver());
  return columns;
}
