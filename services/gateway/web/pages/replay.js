// Replay: what was recorded judged again, or by other limits. Nothing is stored, nobody is told.

import { age } from "/web/ages.js";
import { get, post } from "/web/api.js";
import { empty, h, pill, show } from "/web/dom.js";
import { form } from "/web/form.js";
import { code, present, word } from "/web/format.js";
import { grid } from "/web/grid.js";
import { setQuery, sheet } from "/web/router.js";
import { keep, panel } from "/web/states.js";

export const title = "Replay";

const HOURS = [["1", "the last hour"], ["8", "the last 8 hours"], ["24", "the last day"]];
const METRICS = ["LIQUIDATION_DISTANCE", "TRAVEL_PERCENT", "HEAT_INDEX", "LIQUIDATION_PROBABILITY", "PROFIT"];
const NAMES = ["low", "medium", "high"];
const WHERE = { BOTH: "as it was", RECORDED: "would not have been", REPLAYED: "would have been" };
const MEGABYTE = 1e6;

export function mount(root, { query }) {
  sheet("lists");
  sheet("replay");
  const ask = panel("Would other limits have woken me?", { wide: true, rows: 5, id: "ask" });
  const place = h("div", { class: "wide outcome", id: "outcome" });
  root.append(h("h1", { class: "hidden-title" }, title), ask.node, place);
  let asked = null;
  const kept = keep(ask, () => get("/v1/recordings?page_size=1"), (recordings) => {
    ask.setCount(extent(recordings));
    if (asked) return;
    if (!recordings.recording_count) return show(ask.body, empty("Nothing is recorded yet; the next cycle is the first. ALERTS_RECORDER_DAYS = 0 switches it off."));
    asked = asking(query, place);
    show(ask.body, h("p", { class: "words" }, "Every cycle keeps what it read. It is judged again by the functions of the cycle: without limits the same, bit for bit; with other limits what would have been told instead."), asked.node);
  });
  return () => kept.stop();
}

function extent({ recording_count, first_time, size_bytes }) {
  if (!recording_count) return "";
  return `${recording_count} recordings since ${new Date(first_time).toLocaleString()}, ${(Number(size_bytes) / MEGABYTE).toFixed(1)} MB`;
}

function asking(query, place) {
  const limit = (name, label) => ({ name, label, kind: "number", placeholder: "none" });
  const held = (name, known, otherwise) => (known.includes(query.get(name)) ? query.get(name) : otherwise);
  const fields = [
    { name: "cycle", kind: "text", value: query.get("cycle") ?? "", label: "One cycle", placeholder: "or all of" },
    { name: "hours", kind: "select", options: HOURS, value: held("hours", HOURS.map(([one]) => one), "8"), label: "Time" },
    { name: "metric", kind: "select", options: METRICS.map((one) => [one, word(one)]), value: held("metric", METRICS, METRICS[0]), label: "Limits of" },
    { name: "asset", kind: "text", label: "Asset", placeholder: "every asset" },
    limit("low", "LOW at"),
    limit("medium", "MEDIUM at"),
    limit("high", "HIGH at"),
  ];
  const send = async (values) => {
    setQuery({ cycle: values.cycle, hours: values.hours, metric: values.metric });
    const limits = Object.fromEntries(NAMES.filter((name) => values[name] !== undefined).map((name) => [name, values[name]]));
    const isWhatIf = Object.keys(limits).length > 0;
    const span = values.cycle ? { cycle_id: values.cycle } : { start_time: new Date(Date.now() - Number(values.hours) * 3600 * 1000).toISOString() };
    const thresholds = isWhatIf ? [{ type: `ALERT_TYPE_${values.metric}`, asset: values.asset, ...limits }] : [];
    outcome(place, await post("/v1/recordings:replay", { ...span, thresholds }), isWhatIf);
  };
  return form({ label: "Replay", fields, act: { label: "Judge again", send } });
}

function outcome(place, found, isWhatIf) {
  const verdict = panel(isWhatIf ? "What these limits would have told" : "Is it the same?", { wide: true, rows: 3, id: "verdict" });
  const changes = panel("Changes", { wide: true, rows: 5, id: "changes" });
  verdict.setCount(`${found.recording_count} recordings, ${found.alert_count} alerts judged again`);
  show(verdict.body, isWhatIf ? told(found) : same(found), (found.unjudged_thresholds ?? []).map((id) => h("p", { class: "words" }, `${id}: no alert was of this metric, so nothing was judged by it.`)));
  const shown = found.changes ?? [];
  const left = found.change_count - shown.length;
  changes.setCount(`${found.change_count}${left > 0 ? `, the first ${shown.length}` : ""}`);
  show(changes.body, shown.length ? h("div", { class: "list" }, shown.map((one) => row(one, isWhatIf))) : empty("No level changed."));
  show(place, verdict.node, changes.node);
}

function same(found) {
  const unread = found.unread_message_count ? `; ${found.unread_message_count} rows are in sealed files and were not compared` : "";
  if (!found.differing_count) return h("p", { role: "status" }, pill("SAME", "level-NORMAL"), ` Levels, changes and messages are the same, bit for bit; ${found.message_count} rows of the ledger${unread}.`);
  const cycles = found.differing_cycles.slice(0, 5).map((id) => id || "by hand").join(", ");
  return h("p", { role: "status" }, pill("DIFFERS", "level-HIGH"), ` ${found.differing_count} recordings differ: ${cycles}; ${found.differing_message_count} of ${found.message_count} rows of the ledger${unread}.`);
}

function told(found) {
  const rows = found.told.map((one) => [pill(code(one.level, "LEVEL_"), `level-${code(one.level, "LEVEL_")}`), String(one.recorded_count), String(one.replayed_count)]);
  return grid("Dangers told", ["level", "as it was", "by these limits"], rows);
}

function row(one, isWhatIf) {
  const [before, after, where] = [code(one.level_before, "LEVEL_"), code(one.level_after, "LEVEL_"), code(one.presence, "PRESENCE_")];
  const subject = one.subject === one.asset ? one.asset : [one.asset, one.wallet, one.subject].filter(Boolean).join(" ");
  const differs = where === "BOTH" ? null : pill(isWhatIf ? WHERE[where] : `only ${where}`, where === "REPLAYED" ? "level-MEDIUM" : "unknown");
  return h("div", { class: "item" }, h("div", { class: "line wraps" }, age(one.time, { after: " ago" }), h("span", { class: "subject" }, `${before} → `), pill(after, `level-${after}`), h("b", {}, word(one.type, "ALERT_TYPE_")), h("span", { class: "subject" }, subject), present(one.value) ? h("span", { class: "n" }, String(Number(Number(one.value).toPrecision(7)))) : null, h("span", { class: "subject" }, one.notified ? "told" : "not told"), differs, one.cycle_id ? h("a", { href: `/cycles/${encodeURIComponent(one.cycle_id)}` }, "cycle") : null));
}
