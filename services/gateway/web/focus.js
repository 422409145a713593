// Keeps the keyboard's place: when what had the focus is written anew, hidden, disabled or gone, the focus goes to what
// took its place, else to the part it stood in, and never back to the top of the page.

const CONTROLS = "a[href], button, input, select, textarea, summary, [tabindex]";

const usable = (node) => node.isConnected && !node.disabled && node.checkVisibility({ visibilityProperty: true });
const name = (node) => node.dataset.key ?? `${node.tagName} ${node.getAttribute("aria-label") ?? node.name ?? ""} ${node.labels?.[0]?.innerText ?? ""} ${"value" in node && node.tagName !== "BUTTON" ? "" : node.textContent}`;

/** The row or card in which it stands: the nearest element that says by `data-` what it is of. */
function rowOf(node) {
  for (let at = node.parentElement; at && at.tagName !== "MAIN" && !at.classList.contains("panel"); at = at.parentElement) if (Object.keys(at.dataset).length && at.dataset.field === undefined) return at;
  return null;
}

const sameRow = (row, within) => [...within.querySelectorAll(row.tagName)].find((one) => JSON.stringify(one.dataset) === JSON.stringify(row.dataset));
const focusOn = (node) => {
  if (!node.matches(CONTROLS)) node.tabIndex = -1;
  node.focus({ preventScroll: true });
};

/** Remembers where a node stands; what is returned puts the focus there again, or as near as there is. */
export function placeOf(node) {
  const row = rowOf(node);
  const parts = [];
  for (let at = node.parentElement; at; at = at.parentElement) if (at.matches("dialog, .panel, main, body > [id]")) parts.push(at);
  const key = name(node);
  return () => {
    if (usable(node)) return focusOn(node);
    const part = parts.map((one) => (one.isConnected ? one : one.id && document.getElementById(one.id))).find((one) => one && usable(one));
    const within = part ?? document.getElementById("main");
    const place = row && (row.isConnected ? row : sameRow(row, within));
    const same = [...(place ?? within).querySelectorAll(CONTROLS)].filter((one) => usable(one) && name(one) === key);
    // Of two that are called alike neither is taken: one acts on something else.
    return focusOn(same.length === 1 ? same[0] : (place ?? within));
  };
}

/** Starts it, for as long as the page is open. */
export function keepFocus() {
  let last = null;
  let back = null;
  const forget = () => (last = back = null);
  document.addEventListener("focusin", ({ target }) => {
    last = target;
    back = placeOf(target);
  });
  // A person who clicks beside everything has let go of it.
  document.addEventListener("focusout", ({ target }) => queueMicrotask(() => usable(target) && document.activeElement === document.body && forget()));
  const look = () => {
    const now = document.activeElement;
    if (!last || (now !== document.body && now !== last) || usable(last)) return;
    const act = back;
    forget();
    act();
  };
  new MutationObserver(look).observe(document.body, { subtree: true, childList: true, attributes: true, attributeFilter: ["disabled", "hidden", "class"] });
}
