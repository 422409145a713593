// The corridor on an axis of prices: where every leg lives, what dies at its ends, and what is naked beyond them.

import { h, scroller, unknown } from "/web/dom.js";
import { percent, plain, present, price, usd } from "/web/format.js";

const MARGIN = 0.06;

export function corridor(hedge, found) {
  const { lower_price_usd: lower, upper_price_usd: upper, reference_price_usd: mark } = found;
  const [down, up] = [found.down_steps ?? [], found.up_steps ?? []];
  const prices = [mark, ...down.map((one) => one.price_usd), ...up.map((one) => one.price_usd), ...found.legs.map((leg) => leg.entry_price_usd)].filter(present).map(Number);
  const notes = remarks(found);
  if (prices.length < 2) return [h("p", { class: "words" }, "No corridor: no liquidation price of its members is known."), notes];
  const [low, high] = [Math.min(...prices), Math.max(...prices)];
  const room = (high - low || high * 0.02) * MARGIN;
  const at = (value) => `${(100 * (value - low + room)) / (high - low + 2 * room)}%`;
  const inside = present(lower) && present(upper) && present(mark) && lower < mark && mark < upper;
  const words = inside
    ? `${hedge.asset} lives between ${price(lower)} and ${price(upper)}; now ${price(mark)}, ${percent(found.lower_distance_percent)} above the lower and ${percent(found.upper_distance_percent)} below the upper end.`
    : `The corridor of ${hedge.asset}: from ${present(lower) ? price(lower) : "no known price"} to ${present(upper) ? price(upper) : "no known price"}; now ${present(mark) ? price(mark) : "not known"}.`;
  const zone = { "--from": present(lower) ? at(lower) : "0%", "--to": present(upper) ? at(upper) : "100%" };
  return [
    h(
      "div",
      { class: "axis", role: "img", "aria-label": words, title: words },
      h("i", { class: "zone", style: zone }),
      found.legs.filter((leg) => present(leg.entry_price_usd)).map((leg) => h("i", { class: `entry ${leg.side === "SIDE_LONG" ? "long" : "short"}`, title: `entry of ${leg.position_id}: ${price(leg.entry_price_usd)}`, style: { "--at": at(leg.entry_price_usd) } })),
      [...down, ...up].map((step) => h("i", { class: "death", title: `liquidation at ${price(step.price_usd)}`, style: { "--at": at(step.price_usd) } })),
      present(mark) ? h("i", { class: "mark-price", style: { "--at": at(mark) } }, h("b", { class: "n" }, price(mark))) : null,
    ),
    h("div", { class: "ends" }, end("Falling to", lower, found.lower_distance_percent, down[0], hedge.asset), end("Rising to", upper, found.upper_distance_percent, up[0], hedge.asset)),
    ladder(down, up, hedge.asset),
    notes,
  ];
}

function end(words, at, distance, step, asset) {
  if (!step || !present(at)) return h("div", { class: "end" }, h("b", {}, words), " ", unknown("price"));
  const past = Number(distance) <= 0;
  return h(
    "div",
    { class: "end" },
    h("span", {}, `${words} `, h("b", { class: "n" }, price(at)), " ", h("span", { class: past ? "loss strong" : "subject" }, past ? "at or past it" : `${percent(distance)} away`)),
    h("span", {}, "forfeits ", h("b", { class: "n loss" }, present(step.forfeited_collateral_usd) ? usd(step.forfeited_collateral_usd) : "?"), " of collateral"),
    h("span", {}, "stays naked ", h("b", { class: "n" }, present(step.naked_delta_tokens) ? `${plain(step.naked_delta_tokens, 4)} ${asset}` : "?"), present(step.naked_delta_usd) ? h("span", { class: "subject n" }, ` ${usd(step.naked_delta_usd, { sign: true })}`) : null),
  );
}

/** Only where there is more than the two ends. */
function ladder(down, up, asset) {
  if (down.length < 2 && up.length < 2) return null;
  const cell = (label, value, write) => h("td", { class: "n", data: { label } }, present(value) ? write(value) : unknown(label));
  const row = (step, way) => h(
    "tr",
    {},
    h("td", {}, `${way} ${price(step.price_usd)}`),
    cell("Away", step.distance_percent, percent),
    h("td", { class: "n", data: { label: "Liquidates" } }, (step.position_ids ?? []).join(", ")),
    cell("Forfeited here", step.forfeited_collateral_usd, usd),
    cell("Forfeited in all", step.total_forfeited_collateral_usd, usd),
    cell("Naked", step.naked_delta_tokens, (value) => `${plain(value, 4)} ${asset}`),
    cell("Left", step.remaining_value_usd, usd),
  );
  const head = ["Ladder", "Away", "Liquidates", "Forfeited here", "Forfeited in all", "Naked", "Left"].map((name, place) => h("th", { scope: "col", class: place ? "n" : "" }, h("span", { class: "title" }, name)));
  const rows = [...[...up].reverse().map((step) => row(step, "↑")), ...down.map((step) => row(step, "↓"))];
  return scroller("Ladder", h("table", { class: "grid", "aria-label": "Ladder" }, h("thead", {}, h("tr", {}, head)), h("tbody", {}, rows)));
}

function remarks(found) {
  const [unjudged, gone, stale] = [found.unjudged_position_ids ?? [], found.gone_position_ids ?? [], found.stale_position_ids ?? []];
  return [
    stale.length ? h("p", { class: "moved words" }, `May be gone: the venue's last answer lacks or refused ${stale.join(", ")}. Every figure counts it as held.`) : null,
    unjudged.length ? h("p", { class: "moved words" }, `No liquidation price of ${unjudged.join(", ")} is known: the corridor may be narrower than it says.`) : null,
    gone.length ? h("p", { class: "moved words" }, `Held no more, and counted for nothing here: ${gone.join(", ")}. The next cycle unlinks them.`) : null,
  ];
}
