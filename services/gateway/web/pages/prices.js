// Prices: what the market is held to be, which sources agree, what was refused and why, and the history behind it.

import { age } from "/web/ages.js";
import { get, post } from "/web/api.js";
import { empty, h, pill, show, unknown } from "/web/dom.js";
import { code, percent, present, price, signed, word } from "/web/format.js";
import { listen } from "/web/live.js";
import { asset } from "/web/prices/asset.js";
import { record } from "/web/prices/record.js";
import { sources } from "/web/prices/sources.js";
import { setQuery, sheet } from "/web/router.js";
import { keep, panel } from "/web/states.js";
import { busy, say } from "/web/toast.js";

export const title = "Prices";

export const QUALITY = { GOOD: "run-SUCCESS", CLOSED: "run-SUCCESS", SINGLE: "level-LOW", DISAGREE: "level-MEDIUM", STALE: "level-MEDIUM", NONE: "run-ERROR" };

export function mount(root, { query: asked }) {
  sheet("lists");
  sheet("prices");
  const held = new Map();
  const refresh = h("button", { type: "button", class: "second", on: { click: () => busy(refresh, askSources) } }, "Ask the sources now");
  const part = panel(title, { rows: 4, id: "prices", tools: [refresh] });
  const from = panel("Sources", { rows: 6, id: "sources" });
  const place = h("div", { class: "wide detail" });
  const said = record();
  root.append(h("h1", { class: "hidden-title" }, title), h("div", { class: "column" }, part.node), h("div", { class: "column" }, from.node), place, said.node);
  let chosen = asked.get("asset") ?? "";
  let detail = null;

  async function askSources() {
    const answer = await post("/v1/prices:refresh", { force: true });
    const failed = (answer.sources ?? []).filter((one) => !one.ok).map((one) => `${one.source} ${word(one.failure)}`);
    say(`${answer.fresh_count} fresh prices${answer.missing_count ? `, ${answer.missing_assets.join(", ")} without one` : ""}${failed.length ? `; ${failed.join(", ")}` : ""}.`);
    kept.refresh();
  }

  function choose(name) {
    if (chosen === name && detail) return;
    chosen = name;
    setQuery({ asset: name });
    detail?.stop();
    detail = asset(place, name, () => kept.refresh());
    render();
  }

  function render() {
    const rows = [...held.values()].sort((a, b) => a.asset.localeCompare(b.asset));
    part.setCount(`${rows.filter((one) => one.quality === "QUALITY_GOOD").length} of ${rows.length} good`);
    show(part.body, rows.length ? h("div", { class: "list" }, rows.map((one) => row(one, chosen, choose))) : empty("No price is known yet; the next cycle asks for them."));
  }

  function take(prices, whole) {
    if (whole) held.clear();
    for (const one of prices) held.set(one.asset, one);
    render();
    if (!detail && held.size) choose(held.has(chosen) ? chosen : [...held.keys()].sort()[0]);
  }

  const kept = keep(part, () => get("/v1/prices?page_size=500"), ({ prices }) => take(prices, true));
  const close = listen("/v1/prices:watch", ({ prices, gap }) => take(prices, gap));
  const asks = sources(from);
  return () => {
    kept.stop();
    asks.stop();
    said.stop();
    close();
    detail?.stop();
  };
}

function row(found, chosen, choose) {
  const quality = code(found.quality, "QUALITY_");
  const was = Number(found.previous_price_usd);
  const move = present(found.price_usd) && was > 0 ? 100 * (found.price_usd / was - 1) : NaN;
  const quotes = found.quotes ?? [];
  const used = quotes.filter((one) => one.used).length;
  const dropped = quotes.filter((one) => !one.used).map((one) => `${one.source} ${word(one.dropped_reason)}`);
  const agree = quotes.length ? `${used} of ${quotes.length} agree` : found.source;
  return h(
    "button",
    { type: "button", class: `item price-row${found.asset === chosen ? " chosen" : ""}`, "aria-pressed": String(found.asset === chosen), data: { key: found.asset, asset: found.asset }, on: { click: () => choose(found.asset) } },
    h("span", { class: "line" }, h("b", {}, found.asset), h("span", { class: "n big" }, present(found.price_usd) ? price(found.price_usd) : unknown("price")), Number.isFinite(move) ? h("span", { class: `n ${move > 0 ? "gain" : move < 0 ? "loss" : ""}` }, signed(move, percent(move, 2))) : null, pill(quality, QUALITY[quality] ?? "soft"), h("span", { class: "when n" }, age(found.price_time, { coloured: true }))),
    h("span", { class: "line below wraps" }, h("span", { class: "subject" }, agree), dropped.length ? h("span", { class: "moved" }, `refused: ${dropped.join(", ")}`) : null),
  );
}
