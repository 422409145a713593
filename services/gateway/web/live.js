// Watch streams of the server, all on one connection: opened again after a loss, later each time, and said.

const FIRST_WAIT_MS = 1000;
const LONGEST_WAIT_MS = 30000;
const TOGETHER = "/v1:watch";

// By path: {each: Set of hearers, hidden: whether it goes on in a tab that is not looked at}.
const watched = new Map();
// A stream that failed while the others go on: {since, again}.
const lost = new Map();
let source = null;
let opening = 0;
let again = 0;
let wait = FIRST_WAIT_MS;
let hear = () => {};

/** `heard` is told the streams that are lost: [{path, since, again}], the moments as Date; an empty list when all is well. */
export function onTrouble(heard) {
  hear = heard;
}

/**
 * Calls `each` with every message of GET `path`, first the present state, and the present state again whenever the
 * connection is opened anew. Returns what ends it. A browser has six connections for all of its tabs: so the streams of
 * a tab share one, and a tab that is not looked at holds only those asked for with `hidden`.
 */
export function listen(path, each, { hidden = false } = {}) {
  const stream = watched.get(path) ?? { each: new Set(), hidden };
  watched.set(path, stream);
  stream.each.add(each);
  reopen();
  return () => {
    stream.each.delete(each);
    if (stream.each.size) return;
    watched.delete(path);
    lost.delete(path);
    reopen();
    tell();
  };
}

/** Together: a page that comes and asks for three streams opens one connection. */
function reopen() {
  clearTimeout(opening);
  opening = setTimeout(open, 20);
}

function open() {
  clearTimeout(again);
  source?.close();
  source = null;
  const paths = [...watched].filter(([, stream]) => stream.hidden || !document.hidden).map(([path]) => path);
  if (!paths.length) return;
  const mine = new EventSource(`${TOGETHER}?${new URLSearchParams(paths.map((path) => ["path", path]))}`);
  source = mine;
  paths.forEach((path, place) => {
    mine.addEventListener(String(place), (event) => {
      if (lost.delete(path)) tell();
      // While one is lost its next try is not brought forward by what the others say.
      if (!lost.size) wait = FIRST_WAIT_MS;
      const message = JSON.parse(event.data);
      for (const each of watched.get(path)?.each ?? []) each(message);
    });
    mine.addEventListener(`${place}.error`, () => fail([path]));
  });
  // The browser would try again at a fixed pace, or not at all.
  mine.onerror = () => {
    mine.close();
    fail(paths);
  };
}

function fail(paths) {
  clearTimeout(again);
  const next = new Date(Date.now() + wait);
  for (const path of paths) if (watched.has(path)) lost.set(path, { since: lost.get(path)?.since ?? new Date(), again: next });
  for (const one of lost.values()) one.again = next;
  again = setTimeout(open, wait);
  wait = Math.min(LONGEST_WAIT_MS, wait * 2);
  tell();
}

const tell = () => hear([...lost].map(([path, { since, again: next }]) => ({ path, since, again: next })));

document.addEventListener("visibilitychange", reopen);
// A page that the browser keeps for the way back would keep its connection too: six of them, and nothing answers.
window.addEventListener("pagehide", () => {
  clearTimeout(opening);
  clearTimeout(again);
  source?.close();
  source = null;
});
window.addEventListener("pageshow", ({ persisted }) => {
  if (persisted) reopen();
});
