// A short word about what was done, or was not. A failure stays until it is taken away.

import { byId, h } from "/web/dom.js";

const SHOWN_MS = 6000;
const MOST = 4;

export const say = (text) => put(text, "status", SHOWN_MS);
/** A failure, or a text. */
export const warn = (problem) => put(problem instanceof Error ? `Not done: ${problem.message}` : problem, "alert", 0);

/** Runs an action of a button, which waits meanwhile; what fails is said. Resolves with the answer, or undefined. */
export async function busy(button, act) {
  button.disabled = true;
  try {
    return await act();
  } catch (problem) {
    warn(problem);
    return undefined;
  } finally {
    button.disabled = false;
  }
}

const opening = new WeakSet();

/** The same of a button that opens a dialog: it keeps the focus, which comes back to it afterwards. */
export async function opens(button, act) {
  if (opening.has(button)) return;
  opening.add(button);
  try {
    await act();
  } catch (problem) {
    warn(problem);
  } finally {
    opening.delete(button);
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
