// A table of figures that is shown as it is: heads stand where their figures do, and on a phone beside each.

import { h, scroller } from "/web/dom.js";

/** rows: lists of cells, each a text or nodes, the first of them a name and the others figures. */
export function grid(caption, titles, rows) {
  const kind = (place) => (place ? "n" : "");
  const head = titles.map((name, place) => h("th", { scope: "col", class: kind(place) }, h("span", { class: "title" }, name)));
  const line = (cells) => h("tr", {}, cells.map((cell, place) => h("td", { class: kind(place), data: place ? { label: titles[place] } : {} }, cell)));
  return scroller(caption, h("table", { class: "grid" }, h("caption", {}, caption), h("thead", {}, h("tr", {}, head)), h("tbody", {}, rows.map(line))));
}
