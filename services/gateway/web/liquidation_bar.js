// The bar of a position: liquidation at the left end, entry in the middle, profit to the right; the mark is at its tip.

import { h, pill, unknown } from "/web/dom.js";
import { heatBand, percent, plain, present, price, signed, travelBand } from "/web/format.js";

export const isPast = (position) => present(position.liquidation_distance_percent) && position.liquidation_distance_percent <= 0;

/** Red towards liquidation, green towards profit: what loses is never green. */
export function bar(position) {
  const ends = h("div", { class: "prices" }, known("liquidation price", position.risk_liquidation_price_usd), known("entry price", position.entry_price_usd), h("span", { "aria-hidden": "true" }, "profit"));
  if (!present(position.travel_percent)) {
    const past = isPast(position);
    const words = past ? "past liquidation" : "way to liquidation: not known";
    return [h("div", { class: `bar ${past ? "" : "unknown"}`, role: "img", "aria-label": words, title: words }, past ? h("i", { class: "losing" }) : null), ends];
  }
  const travel = Number(position.travel_percent);
  const way = Math.min(100, Math.abs(travel));
  const words = isPast(position) ? "past liquidation" : travel < 0 ? `${percent(-travel)} of the way to liquidation` : `${percent(travel)} as far on the winning side as liquidation is on the other`;
  const mark = present(position.mark_price_usd) ? `, mark ${price(position.mark_price_usd)}` : "";
  const tip = 50 + (travel < 0 ? -way : way) / 2;
  return [
    h(
      "div",
      { class: "bar", role: "img", "aria-label": words + mark, title: words + mark, style: { "--way": `${way / 2}%`, "--cut": `${100 - way}%`, "--tip": `${tip}%` } },
      h("i", { class: travel < 0 ? "losing" : "winning" }),
      h("u"),
      h("b"),
    ),
    ends,
  ];
}

function known(label, value) {
  return present(value) ? h("span", { title: label }, price(value)) : unknown(label);
}

/** Heat in its colour; of what loses none is green. */
export function heat({ heat_index: value, travel_percent: travel }) {
  if (!present(value)) return unknown("Heat");
  const band = heatBand(value);
  return h("span", { class: `heat ${travel < 0 && band === "green" ? "" : `band-${band}`}` }, plain(value, 0));
}

/** Colour of travel: of what loses a little no colour at all. */
export const travelClass = (travel) => {
  if (!present(travel)) return "";
  const band = travelBand(travel);
  return travel < 0 && band === "green" ? "" : `band-${band}`;
};

export const travelText = (travel) => signed(travel, percent(travel));

/** The distance as a figure, or in words when there is none left. */
export function distance(position) {
  const value = position.liquidation_distance_percent;
  if (!present(value)) return unknown("Distance");
  return isPast(position) ? [pill("past liquidation", "level-HIGH"), h("small", {}, percent(value))] : percent(value);
}
