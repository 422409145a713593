// One threshold as a line that is edited in place: nothing is sent before it is within bounds, and nobody's edit is lost.

import { get, patch, post, remove } from "/web/api.js";
import { h, pill, show } from "/web/dom.js";
import { confirm } from "/web/dialog.js";
import { code, plain, present, reading } from "/web/format.js";
import { editChannels, toldBy } from "/web/thresholds/channels.js";
import { previewer } from "/web/thresholds/preview.js";
import { LIMITS, defaults, isDefault, listed, nameOf, parse, problems, side, unitOf, write } from "/web/thresholds/words.js";
import { busy, say } from "/web/toast.js";

const path = (id, verb = "") => `/v1/thresholds/${encodeURIComponent(id)}${verb}`;

/** {node, take(threshold, summary)}; `settings`: {title, channels() -> names, reload()}. */
export function row(first, { title, channels, reload }) {
  let known = first;
  const told = h("p", { class: "row-words", role: "status", id: `words-${first.id}` });
  const preview = previewer(told);
  const inputs = Object.fromEntries(LIMITS.map((name) => [name, limitInput(name)]));
  const now = h("span", { class: "now" });
  const enabled = h("input", { type: "checkbox", "aria-label": `${nameOf(first)} judges`, on: { change: (event) => busy(event.target, switchIt) } });
  const how = h("button", { type: "button", class: "link", on: { click: () => editChannels(known, channels(), change) } });
  const saveIt = h("button", { type: "submit", class: "primary small" }, "Save");
  const undo = h("button", { type: "button", class: "second small", on: { click: () => (fill(known), preview.clear()) } }, "Undo");
  const back = h("button", { type: "button", class: "link", on: { click: takeBack } });
  const unit = unitOf(first);
  const asset = first.asset ? h("span", { class: "asset" }, first.asset) : null;
  const node = h(
    "form",
    { class: "threshold", novalidate: true, "aria-label": `${nameOf(first)} ${first.asset ?? ""}`.trim(), data: { id: first.id }, on: { submit: send } },
    h("span", { class: "which" }, enabled, h("b", {}, title ?? nameOf(first)), asset, h("small", { title: "a value at the limit counts" }, `${side(first)}${unit ? ` ${unit}` : ""}`)),
    LIMITS.map((name) => h("label", { class: `limit of-${name}` }, h("small", {}, name), inputs[name])),
    now,
    h("div", { class: "under" }, told, h("span", { class: "acts" }, saveIt, undo, how, back)),
  );

  function limitInput(name) {
    return h("input", { type: "text", inputmode: "decimal", class: "n", autocomplete: "off", "aria-label": `${nameOf(first)} ${first.asset ?? ""} ${name}`, "aria-describedby": `words-${first.id}`, on: { input: edited, focus: edited } });
  }

  const limits = () => Object.fromEntries(LIMITS.map((name) => [name, parse(inputs[name].value)]));
  const isEdited = () => LIMITS.some((name) => parse(inputs[name].value) !== (known[name] ?? undefined));

  function edited() {
    const [given, wrong] = [limits(), mark(limits())];
    state();
    if (Object.keys(wrong).length) {
      preview.clear();
      show(told, h("span", { class: "field-problem", role: "alert" }, Object.entries(wrong).map(([name, text]) => `${name} ${text}`).join("; ")));
    } else preview.ask(known, given);
  }

  function mark(given) {
    const wrong = problems(known, given);
    for (const name of LIMITS) wrong[name] ? inputs[name].setAttribute("aria-invalid", "true") : inputs[name].removeAttribute("aria-invalid");
    return wrong;
  }

  function state() {
    const is = isEdited();
    node.classList.toggle("edited", is);
    saveIt.disabled = !is || LIMITS.some((name) => inputs[name].hasAttribute("aria-invalid"));
  }

  function fill(threshold) {
    known = threshold;
    for (const name of LIMITS) inputs[name].value = write(threshold[name]);
    mark(limits());
    rest();
  }

  function rest() {
    enabled.checked = known.enabled;
    node.classList.toggle("off", !known.enabled);
    how.textContent = toldBy(known);
    back.hidden = known.has_default ? isDefault(known) : false;
    back.textContent = known.has_default ? "Default" : "Remove";
    back.title = known.has_default ? `back to ${listed(defaults(known))}` : "the threshold for every asset holds again";
    state();
  }

  async function change(values) {
    const after = await patch(path(known.id), { id: known.id, ...values, etag: known.etag }, Object.keys(values));
    fill(after);
    reload();
    return after;
  }

  async function send(event) {
    event.preventDefault();
    const given = limits();
    if (saveIt.disabled || Object.keys(mark(given)).length) return;
    await busy(saveIt, async () => {
      try {
        const after = await change(given);
        preview.clear();
        say(`${nameOf(known)}${known.asset ? ` ${known.asset}` : ""}: ${listed(after)}. The next cycle judges by it.`);
      } catch (problem) {
        if (!problem.isConflict) return refused(problem);
        await overtaken();
      }
    });
    state();
  }

  function refused(problem) {
    for (const name of LIMITS) if (Object.keys(problem.fields ?? {}).some((field) => field.endsWith(name))) inputs[name].setAttribute("aria-invalid", "true");
    show(told, h("span", { class: "field-problem", role: "alert" }, `Not saved: ${problem.message}`));
  }

  /** Somebody was faster: both values are offered, none is lost. */
  async function overtaken() {
    const mine = limits();
    const theirs = (await all()).find((one) => one.id === known.id);
    preview.clear();
    if (!theirs) return show(told, h("span", { class: "field-problem", role: "alert" }, "Not saved: somebody removed this threshold meanwhile."));
    const when = theirs.updated_time ? new Date(theirs.updated_time).toLocaleTimeString() : "just now";
    const take = h("button", { type: "button", class: "second small", on: { click: () => (fill(theirs), preview.clear()) } }, `Take theirs: ${listed(theirs)}`);
    const keepMine = h("button", { type: "button", class: "second small", on: { click: () => ((known = theirs), saveMine(mine)) } }, `Save mine: ${listed(mine)}`);
    show(told, h("span", { class: "conflict", role: "alert" }, `Changed elsewhere at ${when}, after you read it${theirs.enabled ? "" : "; it is off there"}. `, take, " ", keepMine));
  }

  function saveMine(mine) {
    for (const name of LIMITS) inputs[name].value = write(mine[name]);
    mark(limits());
    state();
    node.requestSubmit();
  }

  async function switchIt() {
    try {
      await change({ enabled: enabled.checked });
      say(`${nameOf(known)}: ${known.enabled ? "judges again" : "judges no more; what it had raised ends"}.`);
    } finally {
      enabled.checked = known.enabled;
    }
  }

  async function takeBack() {
    const what = known.has_default
      ? { title: `${nameOf(known)}: back to the default?`, text: `${listed(known)} becomes ${listed(defaults(known))}, enabled, told through the channels of the level.`, act: "Back to the default" }
      : { title: `Remove the limits of ${known.asset}?`, text: `${nameOf(known)} of ${known.asset} is judged by the limits for every asset again.`, act: "Remove", danger: true };
    if (!(await confirm(what))) return;
    await busy(back, async () => {
      if (known.has_default) fill(await post(path(known.id, ":reset"), { etag: known.etag }));
      else await remove(`${path(known.id)}?etag=${encodeURIComponent(known.etag)}`);
      preview.clear();
      reload();
    });
  }

  fill(first);
  return {
    node,
    take(threshold, summary) {
      show(now, standing(threshold, summary));
      const changed = threshold.etag !== known.etag;
      if (!changed) return;
      // What is being typed stays; saving says that somebody was faster.
      if (!isEdited()) fill(threshold);
    },
  };
}

const all = async () => (await get("/v1/thresholds?page_size=500")).thresholds;

/** A reading in the unit in which its limits are written. */
const asLimit = (threshold, value) => (unitOf(threshold) === "0 to 1" ? plain(value, 4) : reading(threshold.metric, value));

/** How it stands now, from the last evaluation. */
function standing(threshold, summary) {
  if (!threshold.enabled) return pill("OFF", "soft");
  if (!summary) return h("span", { class: "absent", title: "no alert of this kind yet" }, "–");
  const value = threshold.asset ? summary.worst_by_asset?.[threshold.asset] : summary.worst_value;
  const raised = Number(summary.raised_count);
  const level = code(summary.level, "LEVEL_");
  const worst = present(value) ? h("span", { class: "n", title: "the worst reading now" }, asLimit(threshold, value)) : h("span", { class: "absent", title: "no reading" }, "?");
  if (threshold.asset) return worst;
  return [worst, raised ? pill(level, threshold.opportunity ? "news" : `level-${level}`) : null, h("small", {}, `${raised} of ${Number(summary.alert_count)}`)];
}
