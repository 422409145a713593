// Dialogs by the browser's own element: the rest of the page is inert, Escape closes, the focus goes back.

import { h } from "/web/dom.js";
import { placeOf } from "/web/focus.js";

/**
 * Opens a dialog with this content; {node, close}. `closed` is called when it is gone, whatever closed it. One that changed
 * something is closed when what stands behind it was read anew: its rows would be refused as older than the change.
 */
export function open(title, content, closed = () => {}) {
  const node = h("dialog", { class: "dialog", "aria-label": title }, h("h2", {}, title), content);
  const back = placeOf(document.activeElement);
  node.addEventListener("close", () => {
    node.remove();
    closed();
    back();
  });
  document.body.append(node);
  node.showModal();
  return { node, close: () => node.close() };
}

/**
 * Asks before something is done; resolves true when it was confirmed. `word`: what must be typed first, for what cannot
 * be undone.
 */
export function confirm({ title, text, act = "Yes", danger = false, word = "" }) {
  return new Promise((resolve) => {
    let answer = false;
    const yes = h("button", { type: "button", class: danger ? "danger" : "primary", disabled: word !== "", on: { click: () => done(true) } }, act);
    const typed = word ? h("input", { type: "text", autocomplete: "off", "aria-label": `Type ${word}`, on: { input: (event) => (yes.disabled = event.target.value !== word) } }) : null;
    const no = h("button", { type: "button", class: "second", on: { click: () => done(false) } }, "Cancel");
    const dialog = open(title, [h("p", {}, text), word ? h("label", { class: "field" }, h("span", {}, `Type ${word} to go on`), typed) : null, h("div", { class: "actions" }, no, yes)], () => resolve(answer));
    const done = (said) => {
      answer = said;
      dialog.close();
    };
    (typed ?? no).focus();
  });
}
