// The record of the touch probability: what was said, what happened, and how good that is.

import { get } from "/web/api.js";
import { empty, h, show } from "/web/dom.js";
import { code, percent, present } from "/web/format.js";
import { grid } from "/web/grid.js";
import { keep, panel } from "/web/states.js";

const share = (value) => (present(value) ? percent(100 * value, 1) : "-");
const score = (value) => (present(value) ? Number(value).toFixed(4) : "-");
const count = (value) => Number(value).toLocaleString();

/** A panel of its own; {node, stop}. */
export function record() {
  const part = panel("Touch probability: said and happened", { wide: true, rows: 8, id: "touch-record" });
  const kept = keep(part, () => get("/v1/touchRecord"), (answer) => render(part, answer));
  return { node: part.node, stop: () => kept.stop() };
}

function render(part, { scores, present: now, mode }) {
  const whole = scores[0];
  part.setCount(`${count(whole.statement_count)} scored, ${count(whole.waiting_count)} not over yet${Number(whole.unscored_count) ? `, ${count(whole.unscored_count)} of unknown outcome` : ""}`);
  const said = now?.length ? h("ul", { class: "items" }, now.map((one) => h("li", { class: "item" }, sentence(one)))) : null;
  if (!Number(whole.statement_count)) return show(part.body, said, empty("Nothing is scored yet: a statement is, when its 24 hours are over."));
  const known = scores.filter((one) => Number(one.statement_count));
  const market = code(mode, "MODE_").toLowerCase();
  show(
    part.body,
    said,
    grid(`Of all assets, ${market} market: what was said within 24 h`, ["said between", "said", "happened", "95 %", "statements", "apart"], whole.bins.filter((one) => Number(one.count)).map((one) => [edges(one), share(one.said), share(one.happened), `${share(one.interval_low)} to ${share(one.interval_high)}`, count(one.count), count(one.independent_count)])),
    grid("Scores, the lower the better", ["asset", "statements", "apart", "unknown", "Brier", "miscalibrated", "by the rate", "by a constant sigma", "log score", "by the rate", "by a constant sigma"], known.map((one) => [one.asset || "all", count(one.statement_count), count(one.independent_count), count(one.unscored_count), ...["brier_score", "miscalibration", "uncertainty", "constant_brier", "log_score", "climatology_log_score", "constant_log_score"].map((name) => score(one[name]))])),
    h("p", { class: "words" }, "Statements of neighbouring hours share most of their 24 hours: “apart” counts horizons that do not overlap, and the interval is made of those."),
  );
}

function sentence(one) {
  const such = one.such;
  const until = new Date(one.until_time).toLocaleString();
  const past = Number(such.count) ? `of ${count(such.count)} statements of ${edges(such)}, ${share(such.happened)} came true` : `no statement of ${edges(such)} is scored yet`;
  return h("span", {}, h("b", {}, `${one.asset} ${code(one.side, "SIDE_").toLowerCase()}`), ` ${one.position_id}: ${share(one.probability)} until ${until}; ${past}`);
}

const edges = (one) => `${percent(100 * one.lowest, 0)} to ${percent(100 * one.highest, 0)}`;
