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
  const wanted = nodes.flat(Infinity).filter(Boolean);
  if (wanted.length === container.childNodes.length && wanted.every((node, place) => node === container.childNodes[place])) return;
  const held = container.contains(document.activeElement) ? document.activeElement : null;
  container.replaceChildren(...wanted);
  if (!held || held === document.activeElement) return;
  // What is shown again keeps the focus itself: taken out and put back, it has lost it.
  const key = held.dataset.key;
  const again = container.contains(held) ? held : key !== undefined && [...container.querySelectorAll("[data-key]")].find((node) => node.dataset.key === key);
  if (again) again.focus({ preventScroll: true });
}

/** Makes these nodes the children, in this order. Only what stands elsewhere is moved, and never the one with the focus: an element that moves loses it. */
export function arrange(list, nodes) {
  const wanted = [...new Set(nodes)];
  for (const child of [...list.children]) if (!wanted.includes(child)) child.remove();
  const held = [...list.children].find((child) => child.contains(document.activeElement));
  wanted.forEach((node, place) => {
    if (node === held) while (list.children[place] !== node) list.append(list.children[place]);
    else if (list.children[place] !== node) list.insertBefore(node, list.children[place] ?? null);
  });
}

/** An element for each row: one that stays keeps its element and takes the new figures. `held` is a map of key to what `make(row, place)` gives: {node, take(row)}. */
export function keepRows(list, held, rows, make, key = (row) => row.id) {
  const shown = rows.map((row, place) => {
    const one = held.get(key(row)) ?? make(row, place);
    held.set(key(row), one);
    one.take(row);
    return one.node;
  });
  arrange(list, shown);
  for (const [id, one] of held) if (one.node.parentNode !== list) held.delete(id);
}

/** What may be wider than its place: reached and moved by keys. */
export function scroller(label, ...children) {
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": label }, children);
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
