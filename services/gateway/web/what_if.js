// What the position would be at another price, and what it takes to be further away from liquidation.

import { post } from "/web/api.js";
import { h, pill, show, unknown } from "/web/dom.js";
import { form } from "/web/form.js";
import { code, percent, plain, present, price, signed, usd, word } from "/web/format.js";
import { travelText } from "/web/liquidation_bar.js";
import { changes } from "/web/limits.js";

const STEPS = 1000;
const WAIT_MS = 80;

/** {node, update(position, alerts, thresholds)}: a slider from beyond liquidation to as far on the other side. */
export function whatIf() {
  const slider = h("input", { type: "range", min: "0", max: String(STEPS), step: "1", "aria-label": "Price to look at" });
  const at = h("output", { class: "n strong" });
  const told = h("div", { class: "told-figures", "aria-live": "polite" });
  const node = h("div", { class: "what-if" }, h("label", { class: "slide" }, h("span", {}, "At the price of "), at, slider), told);
  let held = null;
  let timer = 0;
  let asked = 0;
  let touched = false;
  const priceNow = () => held.low * (held.high / held.low) ** (slider.value / STEPS);
  const move = () => {
    const value = priceNow();
    const move = 100 * (value / held.position.mark_price_usd - 1);
    const text = `${price(value)} USD, ${signed(move, percent(move))} from the mark`;
    at.textContent = text;
    slider.setAttribute("aria-valuetext", text);
    clearTimeout(timer);
    timer = setTimeout(ask, WAIT_MS, value);
  };
  const ask = async (value) => {
    const mine = ++asked;
    try {
      const { evaluations } = await post("/v1/positions:evaluateAtPrice", { position_id: held.position.id, prices_usd: [value] });
      if (mine === asked) show(told, figures(evaluations[0]), moved(evaluations[0], held));
    } catch (problem) {
      if (mine === asked) show(told, h("p", { class: "why" }, `Not computed: ${problem.message}`));
    }
  };
  slider.addEventListener("input", () => {
    touched = true;
    move();
  });
  const update = (position, alerts, thresholds) => {
    const mark = position.mark_price_usd;
    node.hidden = !present(mark);
    if (node.hidden) return;
    const end = position.risk_liquidation_price_usd ?? mark / 2;
    const entry = position.entry_price_usd ?? mark;
    // Beyond liquidation on one side, beyond entry on the other, wherever the mark is.
    const way = Math.max(Math.abs(Math.log(mark / end)), Math.abs(Math.log(mark / entry)), 0.05) * 1.25;
    // The ends stay while a hand is on the slider.
    if (!touched) Object.assign((held = {}), { low: mark * Math.exp(-way), high: mark * Math.exp(way) });
    Object.assign(held, { position, alerts, thresholds });
    if (!touched) slider.value = String(STEPS / 2);
    move();
  };
  return { node, update, stop: () => clearTimeout(timer) };
}

function figures(found) {
  const past = present(found.liquidation_distance_percent) && found.liquidation_distance_percent <= 0;
  const rows = [
    ["Value", "value_usd", usd],
    ["Profit before fees", "pnl_usd", (value) => usd(value, { sign: true })],
    ["Travel", "travel_percent", travelText],
    ["Heat", "heat_index", (value) => plain(value, 0)],
    ["Distance", "liquidation_distance_percent", (value) => (past ? `past liquidation, ${percent(value)}` : percent(value))],
  ];
  return h("dl", { class: "facts" }, rows.map(([label, field, write]) => h("div", {}, h("dt", {}, label), h("dd", { class: field === "liquidation_distance_percent" && past ? "loss" : "" }, present(found[field]) ? write(found[field]) : unknown(label)))));
}

function moved(found, { alerts, thresholds, position }) {
  const other = changes(alerts, thresholds, position, found);
  if (!other.length) return h("p", { class: "why pad" }, "By their limits alone no alert of this position would change its level.");
  return h("ul", { class: "changes pad" }, other.map(({ alert, level }) => h("li", {}, `${word(alert.type, "ALERT_TYPE_")}: ${code(alert.level, "LEVEL_")} → `, pill(code(level, "LEVEL_"), `level-${code(level, "LEVEL_")}`))));
}

/** A form that says what to add or to cut, so that liquidation is as far away as wanted. */
export function advice(id) {
  const told = h("div", { class: "advice", "aria-live": "polite" });
  const send = async ({ wanted_distance_percent: wanted }) => show(told, advised(await post("/v1/positions:adviseTopUp", { position_id: id, wanted_distance_percent: wanted })));
  const made = form({
    fields: [{ name: "wanted_distance_percent", label: "Wanted distance to liquidation", kind: "number", unit: "% of the mark", above: 0, max: 1000, required: true, value: 20 }],
    act: { label: "What does it take?", send },
    label: "Advice",
  });
  return h("div", {}, made.node, told);
}

const REASONS = {
  WANTED_DISTANCE_UNREACHABLE: "no amount reaches this distance",
  LIQUIDATION_PRICE_MISSING: "the liquidation price is not known",
  PRICE_MISSING: "the price is not known",
  VENUE_TERMS_MISSING: "the venue's terms are not known",
};

function advised(found) {
  const state = (name) => code(found[name], "ADVICE_STATE_");
  const line = (name, amount, verb, keep) => {
    if (state(name) === "MET") return `${verb}: nothing to do, the distance is there.`;
    if (state(name) === "ADVISED") return `${verb} ${usd(amount)}${keep}.`;
    return `${verb}: ${REASONS[found.reason] ?? word(found.reason || found[name])}.`;
  };
  const reach = present(found.wanted_liquidation_price_usd) ? `Liquidation would then be at ${price(found.wanted_liquidation_price_usd)} USD.` : "";
  return [
    h("p", { class: "strong" }, line("add_state", found.collateral_to_add_usd, "Add collateral", ", with the size kept")),
    h("p", { class: "strong" }, line("cut_state", found.size_to_cut_usd, "Or cut the size", " of notional, with the collateral kept")),
    h("p", { class: "why" }, reach, " ", found.assumption),
  ];
}
