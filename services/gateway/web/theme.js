// Dark or light, as the person chose; the same on every page.

import { byId } from "/web/dom.js";

/** Applies the choice and wires the button; `changed` is called after each switch. */
export function keepTheme(changed = () => {}) {
  const root = document.documentElement;
  root.dataset.theme = localStorage.getItem("theme") === "light" ? "light" : "dark";
  byId("theme").addEventListener("click", () => {
    root.dataset.theme = root.dataset.theme === "dark" ? "light" : "dark";
    localStorage.setItem("theme", root.dataset.theme);
    changed();
  });
}
