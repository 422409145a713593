// Dark or light, as the person chose; the same on every page.

import { byId } from "/web/dom.js";

/** Applies the choice and wires the button; every switch is an event `theme` of the window. */
export function keepTheme() {
  const root = document.documentElement;
  root.dataset.theme = localStorage.getItem("theme") === "light" ? "light" : "dark";
  byId("theme").addEventListener("click", () => {
    root.dataset.theme = root.dataset.theme === "dark" ? "light" : "dark";
    localStorage.setItem("theme", root.dataset.theme);
    dispatchEvent(new Event("theme"));
  });
}
