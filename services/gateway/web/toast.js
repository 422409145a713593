// A short word about what was done, or was not. A failure stays until it is taken away.

import { byId, h } from "/web/dom.js";

const SHOWN_MS = 6000;
const MOST = 4;

export const say = (text) => put(text, "status", SHOWN_MS);
/** A failure, or a text. */
export const warn = (problem) => put(problem instanceof Error ? `Not done: ${problem.message}` : problem, "alert", 0);

const underway = new WeakSet();

/**
 * Runs an action of a control, which hears of no second press meanwhile and keeps the focus: a dialog that the action
 * opens gives it back. What fails is said. Resolves with the answer, or undefined.
 */
export async function busy(control, act) {
  if (underway.has(control)) return undefined;
  underway.add(control);
  control.setAttribute("aria-disabled", "true");
  try {
    return await act();
  } catch (problem) {
    warn(problem);
    return undefined;
  } finally {
    underway.delete(control);
    control.removeAttribute("aria-disabled");
  }
}

function put(text, role, forMs) {
  const place = byId("toasts");
  const away = () => made.remove();
  const made = h("div", { class: `toast ${role}`, role }, h("span", {}, text), h("button", { type: "button", class: "quiet", "aria-label": "Dismiss", on: { click: away } }, "×"));
  place.append(made);
  while (place.childElementCount > MOST) place.firstElementChild.remove();
  if (forMs) setTimeout(away, forMs);
}
