// Forms: each field knows its bounds, and what is wrong stands beside it before anything is sent.

import { h, show } from "/web/dom.js";
import { word } from "/web/format.js";
import { busy } from "/web/toast.js";

let made = 0;

/**
 * fields: [{name, label, kind, value, unit, help, required, min, max, step, options, check}]
 *   kind: number, text, area, select, check (one box), checks (several of `options`; the value is a list), datetime
 *   options: [[value, label], ...] or texts; check(value, all) -> what is wrong, or nothing
 * act: {label, send(values)}: values by name; an empty number is undefined. A Failure is shown beside the fields it names.
 * Returns {node, values(), set(name, value), problem(text)}; `changed(values)` hears of every edit that is within bounds.
 */
export function form({ fields, act, cancel = null, changed = null, label = "", conflict = null }) {
  const entries = fields.map(entry);
  const told = h("p", { class: "form-problem", role: "alert" });
  const send = h("button", { type: "submit", class: "primary" }, act.label);
  const values = () => Object.fromEntries(entries.map(({ field, read }) => [field.name, read()]));
  const fine = (all) => entries.filter((one) => !one.judge(all)).length === 0;
  const submit = async (event) => {
    event.preventDefault();
    told.textContent = "";
    const all = values();
    if (!fine(all)) return entries.find((one) => one.isWrong())?.focus();
    return busy(send, () => act.send(all).catch((problem) => refused(problem, entries, told, conflict)));
  };
  const edited = (event) => {
    const one = entries.find(({ field }) => field.name === event.target.closest("[data-field]")?.dataset.field);
    const all = values();
    one?.judge(all);
    if (changed && entries.every((each) => !each.wrong(all))) changed(all);
  };
  const away = cancel ? h("button", { type: "button", class: "second", on: { click: cancel } }, "Cancel") : null;
  const node = h("form", { class: "form", novalidate: true, "aria-label": label, on: { submit, input: edited, change: edited } }, entries.map((one) => one.node), told, h("div", { class: "actions" }, away, send));
  return { node, values, set: (name, value) => entries.find(({ field }) => field.name === name).write(value), problem: (text) => (told.textContent = text) };
}

/** What the server says of a field stands beside it: its name there may be dotted. */
function refused(problem, entries, told, conflict) {
  const left = [];
  for (const [name, text] of Object.entries(problem.fields ?? {})) {
    const one = entries.find(({ field }) => name === field.name || name.split(".").at(-1) === field.name);
    one ? one.say(text) : left.push(`${name}: ${text}`);
  }
  const fix = problem.fix ? ` ${problem.fix}` : "";
  show(told, [problem.message, ...left].join("; ") + fix);
  if (problem.isConflict && conflict) told.append(" ", h("button", { type: "button", class: "second", on: { click: conflict } }, "Read it anew"));
  entries.find((one) => one.isWrong())?.focus();
}

function entry(field) {
  const id = `field-${++made}`;
  const control = KINDS[field.kind ?? "text"](field, id);
  const message = h("span", { class: "field-problem", id: `${id}-problem` });
  const help = field.help ? h("small", { class: "help", id: `${id}-help` }, field.help) : null;
  const label = field.label ?? word(field.name);
  const input = control.input;
  input.setAttribute("aria-describedby", `${id}-problem${help ? ` ${id}-help` : ""}`);
  const title = control.group ? h("span", { class: "label", id: `${id}-label` }, label) : h("label", { for: id }, label, field.required ? h("span", { class: "required", "aria-hidden": "true" }, " *") : null);
  const node = h("div", { class: `field kind-${field.kind ?? "text"}`, data: { field: field.name } }, title, h("span", { class: "control" }, control.node ?? input, field.unit ? h("span", { class: "unit" }, field.unit) : null), message, help);
  const say = (text) => {
    message.textContent = text ?? "";
    if (text) input.setAttribute("aria-invalid", "true");
    else input.removeAttribute("aria-invalid");
  };
  const wrong = (all) => bounds(field, control) ?? field.check?.(control.read(), all);
  const judge = (all) => {
    const text = wrong(all);
    say(text);
    return !text;
  };
  return { field, node, say, wrong, judge, read: control.read, write: control.write, isWrong: () => input.hasAttribute("aria-invalid"), focus: () => input.focus() };
}

function bounds(field, control) {
  const value = control.read();
  if (control.input.validity?.badInput || (field.kind === "number" && value !== undefined && !Number.isFinite(value))) return "is not a number";
  if (value === undefined || value === "") return field.required ? "is needed" : undefined;
  if (field.kind === "number") {
    if (field.min !== undefined && value < field.min) return `is at least ${field.min}`;
    if (field.max !== undefined && value > field.max) return `is at most ${field.max}`;
    if (field.above !== undefined && value <= field.above) return `must be above ${field.above}`;
  }
  if (typeof value === "string" && field.max_length && value.length > field.max_length) return `has at most ${field.max_length} characters`;
  return undefined;
}

const texts = (type) => (field, id) => {
  const input = h("input", { type, id, autocomplete: "off", placeholder: field.placeholder, required: field.required });
  const write = (value) => (input.value = value ?? "");
  write(field.value);
  return { input, write, read: () => input.value.trim() };
};

const choices = (options) => options.map((one) => (Array.isArray(one) ? one : [one, one]));

const KINDS = {
  text: texts("text"),
  password: texts("password"),
  number(field, id) {
    const input = h("input", { type: "text", inputmode: "decimal", id, autocomplete: "off", placeholder: field.placeholder, required: field.required, class: "n" });
    const write = (value) => (input.value = value ?? "");
    write(field.value);
    // A comma is a decimal sign for half of the world; a thousands' sign is refused rather than guessed.
    return { input, write, read: () => (input.value.trim() === "" ? undefined : Number(input.value.trim().replace(/^(-?\d+),(\d+)$/, "$1.$2"))) };
  },
  datetime(field, id) {
    const input = h("input", { type: "datetime-local", id, required: field.required });
    const local = (time) => new Date(time.getTime() - time.getTimezoneOffset() * 60000).toISOString().slice(0, 16);
    const write = (value) => (input.value = value ? local(new Date(value)) : "");
    write(field.value);
    return { input, write, read: () => (input.value ? new Date(input.value).toISOString() : undefined) };
  },
  area(field, id) {
    const input = h("textarea", { id, rows: field.rows ?? 3, placeholder: field.placeholder, required: field.required });
    const write = (value) => (input.value = value ?? "");
    write(field.value);
    return { input, write, read: () => input.value };
  },
  select(field, id) {
    const input = h("select", { id }, choices(field.options).map(([value, label]) => h("option", { value }, label)));
    const write = (value) => (input.value = value ?? "");
    if (field.value !== undefined) write(field.value);
    return { input, write, read: () => input.value };
  },
  check(field, id) {
    const input = h("input", { type: "checkbox", id });
    const write = (value) => (input.checked = Boolean(value));
    write(field.value);
    return { input, write, read: () => input.checked };
  },
  checks(field, id) {
    const boxes = choices(field.options).map(([value, label]) => ({ value, box: h("input", { type: "checkbox" }), label }));
    const input = h("span", { class: "checks", role: "group", id, tabindex: "-1", "aria-labelledby": `${id}-label` }, boxes.map(({ box, label }) => h("label", {}, box, ` ${label}`)));
    const write = (value) => boxes.forEach((one) => (one.box.checked = (value ?? []).includes(one.value)));
    write(field.value);
    return { input, group: true, write, read: () => boxes.filter((one) => one.box.checked).map((one) => one.value) };
  },
};
