// What a move of prices would do: value, profit, and what is liquidated along the way. Nothing is stored.

import { get, post } from "/web/api.js";
import { empty, h, scroller, show, unknown } from "/web/dom.js";
import { form } from "/web/form.js";
import { percent, plain, price, signed, usd } from "/web/format.js";
import { keep } from "/web/states.js";

const COMMON = [-50, -30, -20, -10, -5, 5, 10, 20, 30, 50];

export function shock(part) {
  let own = null;
  const grid = h("div");
  const place = h("div");
  const assets = get("/v1/prices?page_size=500").then(({ prices }) => prices.map((one) => one.asset).slice(0, 8), () => []);
  assets.then((names) => show(place, ask(names)));

  function ask(names) {
    const move = (name, label) => ({ name, label, kind: "number", unit: "%", min: -99.9, max: 1000, placeholder: "0" });
    const send = async (values) => {
      const moves = Object.fromEntries(names.filter((name) => values[`of_${name}`] !== undefined).map((name) => [name, values[`of_${name}`]]));
      own = { name: "yours", moves_percent: moves, other_move_percent: values.others };
      await kept.refresh();
    };
    return form({ label: "A move of your own", fields: [...names.map((name) => move(`of_${name}`, name)), move("others", "all others")], act: { label: "Try this move", send } }).node;
  }

  const read = () => {
    const shocks = COMMON.map((move) => ({ name: String(move), other_move_percent: move }));
    return post("/v1/positions:shock", { shocks: own ? [own, ...shocks] : shocks, step_count: 10 });
  };
  const display = ({ results, absent_count: absent }) => {
    if (grid.parentNode !== part.body) show(part.body, h("p", { class: "words" }, "Every price moves by so much at once; what is liquidated on the way is worth nothing afterwards."), grid, place);
    part.setCount(Number(absent) ? `${absent} positions have no mark, and stay as they are` : "");
    show(grid, results.length ? rows(results) : empty("Nothing is held."));
  };
  const kept = keep(part, read, display);
  return kept;
}

function rows(results) {
  const start = Math.max(1, Number(results[0].points?.[0]?.value_usd ?? 0));
  const head = ["Move", "Value", "Change", "Profit", "Liquidated", "Lost collateral", "First to go"].map((name, place) => h("th", { scope: "col", class: place && place < 6 ? "n" : "" }, h("span", { class: "title" }, name)));
  return scroller("Shocks", h("table", { class: "grid", "aria-label": "Shocks" }, h("thead", {}, h("tr", {}, head)), h("tbody", {}, results.map((one) => row(one, start)))));
}

function row(result, start) {
  const end = result.points.at(-1);
  const move = Number(result.name);
  const label = result.name === "yours" ? h("b", {}, "yours") : signed(move, `${plain(move, 0)} %`).replace("-", "−");
  const lost = (result.liquidations ?? []).reduce((sum, one) => sum + Number(one.forfeited_collateral_usd ?? 0), 0);
  const [first] = result.liquidations ?? [];
  const count = Number(result.liquidated_count);
  const change = Number(result.value_change_usd);
  return h(
    "tr",
    {},
    h("td", {}, h("span", { class: "n" }, label)),
    h("td", { class: "n", data: { label: "Value" } }, end ? usd(end.value_usd) : unknown("value")),
    h("td", { class: `n ${change < 0 ? "loss" : "gain"}`, data: { label: "Change" } }, `${usd(change, { sign: true })} (${signed(change, percent((100 * change) / start))})`),
    h("td", { class: "n", data: { label: "Profit" } }, end ? usd(end.pnl_usd, { sign: true }) : unknown("profit")),
    h("td", { class: `n ${count ? "loss strong" : "subject"}`, data: { label: "Liquidated" } }, String(count)),
    h("td", { class: "n", data: { label: "Lost collateral" } }, count ? usd(lost) : ""),
    h("td", { class: "whole", data: { label: "First to go" } }, first ? [h("a", { class: "plain-link", href: `/positions/${encodeURIComponent(first.position_id)}` }, `${first.asset} ${first.side.replace("SIDE_", "").toLowerCase()}`), h("span", { class: "subject" }, Number(first.share) === 0 ? " at or past it now" : ` at ${price(first.price_usd)}`)] : ""),
  );
}
