// One position: every figure, the price with its limits, what would be at another price, and what was said of it.

import { alertItem } from "/web/alert_item.js";
import { addAlert } from "/web/alert_form.js";
import { age } from "/web/ages.js";
import { get } from "/web/api.js";
import { draw } from "/web/charts.js";
import { empty, h, pill, show } from "/web/dom.js";
import { code, plain, present, price, usd, word } from "/web/format.js";
import { limitPrices } from "/web/limits.js";
import { bar, distance, isPast } from "/web/liquidation_bar.js";
import { figures } from "/web/position_figures.js";
import { dropPosition, editPosition } from "/web/position_form.js";
import { probabilityHistory } from "/web/position_probability.js";
import { identity } from "/web/positions.js";
import { find, go } from "/web/router.js";
import { keep, panel } from "/web/states.js";
import { busy } from "/web/toast.js";
import { toldOf, toldWords } from "/web/told.js";
import { advice, whatIf } from "/web/what_if.js";
import { rank } from "/web/worst.js";

export const title = ({ id }) => `Position ${id.slice(0, 12)}`;

const HOURS = 168;
const LEVEL_COLOURS = { LOW: "yellow", MEDIUM: "orange", HIGH: "red" };

export function mount(root, { params: { id } }) {
  const coded = encodeURIComponent(id);
  const tool = (text, act) => h("button", { type: "button", class: "second", on: { click: (event) => busy(event.currentTarget, act) } }, text);
  const again = () => Promise.all(kept.map((one) => one.refresh()));
  const parts = {
    head: panel("Position", { wide: true, rows: 2, id: "position-panel", tools: [tool("Edit", async () => editPosition(await position(), again)), tool("Remove", async () => dropPosition(await position(), () => go("/positions")))] }),
    figures: panel("Figures", { wide: true, rows: 6, id: "figures-panel" }),
    price: panel("Price, 7 days", { rows: 7, id: "price-panel" }),
    what: panel("What if", { rows: 5, id: "what-panel" }),
    advice: panel("What it takes", { rows: 3, id: "advice-panel" }),
    alerts: panel("Alerts", { rows: 4, id: "alerts-panel", tools: [h("button", { type: "button", class: "second", on: { click: () => addAlert(() => kept[2].refresh(), { position_id: id }) } }, "Add alert")] }),
    hedge: panel("Hedge", { rows: 2, id: "hedge-panel" }),
    told: panel("Told", { rows: 3, id: "told-panel" }),
    refused: panel("Refused rows of its wallet", { rows: 2, id: "refused-panel" }),
  };
  const position = () => get(`/v1/positions/${coded}`);
  const past = probabilityHistory(id, position);
  const column = (...panels) => h("div", { class: "column" }, panels.map((one) => one.node));
  root.append(h("h1", { class: "hidden-title" }, "Position"), parts.head.node, parts.figures.node, column(parts.price, past, parts.alerts), column(parts.what, parts.advice, parts.hedge, parts.told, parts.refused));
  const chart = h("div", { class: "chart", role: "group", tabindex: "0", "aria-label": "Price over time; arrow keys read its points, + and - zoom" });
  const slide = whatIf();
  const first = { what: false, alerts: [] };
  const alerts = () => get(`/v1/alerts?page_size=100&position_id=${coded}`);
  const thresholds = () => get("/v1/thresholds?page_size=500");
  const kept = [
    keep(parts.head, () => Promise.all([position(), alerts().catch(() => ({ alerts: [] }))]), ([found, said]) => showHead(parts.head, found, said.alerts)),
    keep(parts.figures, position, (found) => show(parts.figures.body, h("div", { class: "groups" }, figures(found)))),
    keep(parts.alerts, alerts, (found) => showAlerts(parts.alerts, found, () => kept[2].refresh())),
    keep(parts.price, async () => {
      const found = await position();
      return [found, await get(`/v1/prices/${encodeURIComponent(found.asset)}/candles?page_size=${HOURS}`), await thresholds()];
    }, ([found, answer, limits]) => {
      if (chart.parentNode !== parts.price.body) show(parts.price.body, chart);
      drawPrice(chart, found, answer.candles, limits.thresholds);
    }),
    keep(parts.what, () => Promise.all([position(), alerts(), thresholds()]), ([found, said, limits]) => {
      if (!first.what) show(parts.what.body, slide.node, empty("Without a mark nothing can be computed."));
      first.what = true;
      parts.what.body.querySelector(".empty").hidden = present(found.mark_price_usd);
      slide.update(found, said.alerts, limits.thresholds);
    }),
    keep(parts.hedge, async () => (await get(`/v1/hedges?page_size=1&position_id=${coded}`)).hedges[0], (hedge) => show(parts.hedge.body, hedge ? hedgeOf(hedge) : empty("It is in no hedge: the wallet does not hold both sides of this asset."))),
    keep(parts.told, async () => toldOf(...(await alerts()).alerts), (found) => showTold(parts.told, found)),
    keep(parts.refused, () => Promise.all([position(), get("/v1/refusedRows?page_size=200")]), ([{ wallet }, { rows }]) => showRefused(parts.refused, rows.filter((row) => row.wallet === wallet))),
  ];
  show(parts.advice.body, advice(id));
  return () => {
    slide.stop();
    past.stop();
    kept.forEach(({ stop }) => stop());
  };
}

function showHead(part, found, alerts) {
  const worst = alerts.reduce((level, alert) => (rank(alert.level) > rank(level) ? alert.level : level), "LEVEL_NORMAL");
  const far = isPast(found) ? "" : " from liquidation";
  show(part.body, h("div", { class: "position-head" }, h("div", {}, identity(found, rank(worst) > 1 ? worst : undefined)), h("div", { class: "far" }, h("strong", { class: "n" }, distance(found)), far), h("div", { class: "path" }, bar(found))));
}

function showAlerts(part, { alerts }, refresh) {
  part.setCount(`${alerts.filter((alert) => rank(alert.level) > 1).length} raised of ${alerts.length}`);
  show(part.body, h("div", { class: "list" }, alerts.length ? alerts.map((alert) => alertItem(alert, refresh)) : empty("No alert is about this position.")));
}

function drawPrice(place, found, candles, thresholds) {
  const at = candles.map((candle) => Date.parse(candle.start_time) / 1000);
  const flat = (label, value, colour, dash) => ({ label, values: at.map(() => value), colour, dash, width: 1.4, digits: 8 });
  const lines = [{ label: `${found.asset}, USD`, values: candles.map((candle) => candle.close_usd), colour: "accent", width: 2, digits: 8 }];
  if (present(found.entry_price_usd)) lines.push(flat("entry", found.entry_price_usd, "muted", [4, 4]));
  if (present(found.risk_liquidation_price_usd)) lines.push(flat("liquidation", found.risk_liquidation_price_usd, "red"));
  for (const { level, price: value } of limitPrices(thresholds, found)) lines.push(flat(`distance ${level}`, value, LEVEL_COLOURS[level], [2, 5]));
  draw(place, { at, lines, none: "No price history of this asset yet." });
}

function hedgeOf(hedge) {
  const words = `${hedge.asset} in ${hedge.wallet}, ${hedge.member_count} positions`;
  const figure = (label, value) => h("div", {}, h("dt", {}, label), h("dd", { class: "n" }, value));
  return h(
    "div",
    {},
    h("p", { class: "pad" }, find("/hedges") ? h("a", { href: "/hedges" }, words) : words),
    h("dl", { class: "facts" }, figure("long", usd(hedge.total_long_size_usd ?? 0)), figure("short", usd(hedge.total_short_size_usd ?? 0)), figure("ratio", present(hedge.hedge_ratio) ? plain(hedge.hedge_ratio, 2) : "?"), figure("net delta", present(hedge.net_delta_usd) ? usd(hedge.net_delta_usd, { sign: true }) : "?")),
  );
}

function showTold(part, found) {
  part.setCount(found.length ? `of what is raised now, ${found.length}` : "");
  show(part.body, found.length ? h("ul", { class: "changes pad" }, found.slice(0, 12).map((message) => h("li", {}, pill(code(message.level, "LEVEL_"), `level-${code(message.level, "LEVEL_")}`), " ", age(message.created_time, { after: " ago" }), ` ${toldWords([message])}: ${message.subject}`))) : empty("Of what is raised now nothing was told, or nothing is raised."));
}

function showRefused(part, rows) {
  part.setCount(rows.length ? String(rows.length) : "");
  show(part.body, rows.length ? h("ul", { class: "changes pad" }, rows.slice(0, 20).map((row) => h("li", {}, age(row.refused_time, { after: " ago" }), ` ${word(row.reason)}${row.field ? ` in ${row.field}` : ""} `, h("code", {}, row.masked_body)))) : empty("No row of this wallet was refused."));
}
