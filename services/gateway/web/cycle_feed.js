// Says when a cycle has ended: then what it judged may have changed.

import { get } from "/web/api.js";

const POLL_MS = 3000;
// A tab that is not looked at keeps its title true, and no more.
const HIDDEN_POLL_MS = 15000;

const acts = new Set();
let newest = null;
let timer = 0;
let lost = () => {};

/** Calls `act(cycle)` after every cycle that ended, and when the page is looked at again. Returns what ends it. */
export function onCycle(act) {
  acts.add(act);
  return () => acts.delete(act);
}

/** `told(problem)` hears of every look: null when the gateway answered, with the newest cycle. */
export function startFeed(told) {
  lost = told;
  look();
  document.addEventListener("visibilitychange", () => document.hidden || look(true));
}

/** Everybody is asked to read anew; resolves when they have. */
export const refreshAll = () => Promise.all([...acts].map((act) => act(newest)));

async function look(anew = false) {
  clearTimeout(timer);
  try {
    const [cycle] = (await get("/v1/cycles?page_size=1")).cycles;
    lost(null, cycle);
    const ended = cycle && `${cycle.id} ${cycle.state}` !== `${newest?.id} ${newest?.state}`;
    const first = newest === null;
    newest = cycle ?? null;
    if (anew || (ended && !first)) refreshAll();
  } catch (problem) {
    // What the gateway itself reports is an answer: one service is down, not the connection.
    lost(problem.reason ? null : problem);
  }
  clearTimeout(timer);
  timer = setTimeout(look, document.hidden ? HIDDEN_POLL_MS : POLL_MS);
}
