// Scorecard: what followed each alert, how fast people heard, and what each rule was good for.

import { age } from "/web/ages.js";
import { get } from "/web/api.js";
import { empty, h, pill, show } from "/web/dom.js";
import { spanWords } from "/web/durations.js";
import { code, percent, plain, present, word } from "/web/format.js";
import { grid } from "/web/grid.js";
import { setQuery, sheet } from "/web/router.js";
import { keep, panel } from "/web/states.js";

export const title = "Scorecard";

const DAYS = [7, 30, 90, 365];
const TOLD = { TOLD: ["told", "run-SUCCESS"], NOT_TOLD: ["nobody told", "level-HIGH"], UNKNOWN: ["not known", "unknown"] };
const share = (value) => (present(value) ? percent(100 * value, 0) : "-");
const span = (duration) => spanWords(duration) || "-";

export function mount(root, { query: asked }) {
  sheet("lists");
  const given = Number(asked.get("days"));
  let days = DAYS.includes(given) ? given : 30;
  const take = (event) => {
    days = Number(event.target.value);
    setQuery({ days });
    kept.refresh();
  };
  const choice = h("select", { on: { change: take } }, DAYS.map((one) => h("option", { value: one, selected: one === days }, `${one} days`)));
  const rules = panel(title, { wide: true, rows: 6, id: "rules", tools: [h("label", { class: "line" }, h("span", {}, "of the last"), choice)] });
  const liquidations = panel("Liquidations", { wide: true, rows: 3, id: "liquidations" });
  const incidents = panel("Incidents", { wide: true, rows: 8, id: "incidents" });
  root.append(h("h1", { class: "hidden-title" }, title), rules.node, liquidations.node, incidents.node);
  const kept = keep(rules, () => get(`/v1/scorecard?days=${days}`), (card) => {
    rules.setCount(`since ${new Date(card.start_time).toLocaleString()}${card.cut ? ", earlier rows were too many to read" : ""}`);
    show(rules.body, card.rules.length ? table(card.rules) : empty("No alert rose in this time."));
    liquidations.setCount(String(card.liquidation_count));
    show(liquidations.body, card.liquidations.length ? h("div", { class: "list" }, card.liquidations.map(liquidation)) : empty("None is recorded."));
    incidents.setCount(`${card.incident_count}${Number(card.incident_count) > card.incidents.length ? `, the newest ${card.incidents.length}` : ""}`);
    show(incidents.body, card.incidents.length ? h("div", { class: "list" }, card.incidents.map(incident)) : empty("None."));
  });
  return () => kept.stop();
}

const TITLES = ["rule", "HIGH", "useful", "noise", "pending", "unknown", "precision", "recall", "lead", "told after", "answered after", "a week"];

function table(rules) {
  const row = (one) => {
    const name = one.rule_id || word(one.type, "ALERT_TYPE_");
    const figures = [one.high_count, one.useful_count, one.noise_count, one.pending_count, one.unknown_count, share(one.precision), share(one.recall), span(one.median_lead), span(one.median_told_after), span(one.median_acknowledged_after), plain(one.alarms_per_week, 1)];
    return [[name, one.only_noise ? [" ", pill("ONLY NOISE", "level-MEDIUM")] : null], ...figures.map(String)];
  };
  return grid("HIGH incidents of each rule, what followed them, and medians of times", TITLES, rules.map(row));
}

const told = (one) => pill(...TOLD[code(one.telling, "TELLING_")]);
const level = (one) => pill(code(one.level, "LEVEL_"), `level-${code(one.level, "LEVEL_")}`);
const subject = (one, id) => h("span", { class: "subject" }, [one.asset, one.wallet, id].filter(Boolean).join(" "));

function liquidation(one) {
  const lead = one.high_time ? `HIGH ${spanWords(`${(Date.parse(one.time) - Date.parse(one.high_time)) / 1000}s`)} before` : "never HIGH before";
  return h("div", { class: "item" }, h("div", { class: "line wraps" }, age(one.time, { after: " ago" }), told(one), level(one), subject(one, one.position_id), h("span", {}, lead)));
}

function incident(one) {
  const times = [one.lead ? `after ${spanWords(one.lead)}` : "", one.told_after ? `told in ${spanWords(one.told_after)}` : "", one.acknowledged_after ? `answered in ${spanWords(one.acknowledged_after)}` : "", Number(one.repeated_count) ? `${one.repeated_count} repeats` : ""].filter(Boolean).join(", ");
  return h("div", { class: "item" }, h("div", { class: "line wraps" }, age(one.begin_time, { after: " ago" }), level(one), h("b", {}, one.rule_id || word(one.type, "ALERT_TYPE_")), subject(one, ""), h("span", {}, word(one.followed, "FOLLOWED_")), h("span", { class: "subject" }, times), one.told_after ? null : told(one)));
}
