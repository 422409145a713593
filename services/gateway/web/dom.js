// Elements from data. Text is only ever text: nothing here reads markup, so nothing that is shown can become it.

const ATTRIBUTES = new Set([
  "title", "type", "role", "href", "colspan", "scope", "tabindex", "open", "id", "for", "rel", "target", "download", "autocomplete",
  "placeholder", "inputmode", "novalidate", "required", "rows", "min", "max", "step", "datetime", "list", "maxlength",
]);
const PROPERTIES = new Set(["value", "checked", "selected", "disabled", "hidden"]);
// A link of somebody else's text may lead to a page, and to nothing that runs.
const ADDRESS = /^(?:https?:\/\/|\/(?!\/)|#)/;

/** h("td", {class: "n", title: "…", data: {key: "x"}, style: {"--at": "40%"}, on: {click}}, ...children) */
export function h(tag, settings = {}, ...children) {
  const made = document.createElement(tag);
  made.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  for (const [name, value] of Object.entries(settings)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "class") made.className = value;
    else if (name === "data") Object.assign(made.dataset, value);
    else if (name === "style") for (const [key, text] of Object.entries(value)) made.style.setProperty(key, text);
    else if (name === "on") for (const [event, act] of Object.entries(value)) made.addEventListener(event, act);
    else if (PROPERTIES.has(name)) made[name] = value;
    else if (name === "href" && !ADDRESS.test(value)) made.setAttribute("title", String(value));
    else if (ATTRIBUTES.has(name) || name.startsWith("aria-")) made.setAttribute(name, value === true && !name.startsWith("aria-") ? "" : String(value));
    else throw new Error(`attribute ${name} is not used here`);
  }
  return made;
}

export const byId = (id) => document.getElementById(id);

const opened = new Set();

/** Replaces what is inside; what was focused or folded out stays so when it has the same data-key. */
export function show(container, ...nodes) {
  const focused = container.contains(document.activeElement) ? document.activeElement.dataset.key : undefined;
  container.replaceChildren(...nodes.flat(Infinity).filter(Boolean));
  if (focused === undefined) return;
  for (const node of container.querySelectorAll("[data-key]")) {
    if (node.dataset.key === focused) return node.focus({ preventScroll: true });
  }
}

/** A part that folds, and stays as the person left it. */
export function fold(key, summary, make, openFirst = false) {
  if (openFirst && !opened.has(`${key}?`)) opened.add(key).add(`${key}?`);
  const made = h("details", { open: opened.has(key) }, h("summary", { data: { key } }, summary));
  const fill = () => made.childElementCount === 1 && made.append(...make());
  if (opened.has(key)) fill();
  made.addEventListener("toggle", () => {
    if (made.open) fill();
    opened[made.open ? "add" : "delete"](key);
  });
  return made;
}

export function pill(text, kind) {
  return h("span", { class: `pill ${kind}` }, text);
}

/** What is not known is a grey question mark, never a zero. */
export function unknown(what) {
  return h("span", { class: "absent", title: `${what}: not known` }, "?");
}

export function empty(text) {
  return h("p", { class: "empty" }, text);
}
