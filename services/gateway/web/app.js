// Keeps the page true: fetches everything when a cycle ended, listens to prices, and says so when it cannot.

import { keepAging } from "/web/ages.js";
import { follow, get, health, listen } from "/web/api.js";
import { showCycles, showProgress, showRefusal, showSchedule } from "/web/cycles.js";
import { byId } from "/web/dom.js";
import { isJudged, isNews, showAlerts, showChannels, showDeliveries, showHedges, showMonitors } from "/web/lists.js";
import { note } from "/web/notices.js";
import { showBadges, showHealth, showMode, showPrices, showTotals } from "/web/overview.js";
import { markPositions, showPositions } from "/web/positions.js";
import { keepTheme } from "/web/theme.js";

const POLL_MS = 3000;
const HEALTH_EVERY = 4;
// Deliveries and edits move between cycles too.
const REFETCH_MS = 20000;

// What is fetched, where it is shown, and which part of the page is marked when it fails.
const SOURCES = [
  ["/v1/mode", showMode, null],
  ["/v1/totals", (answer) => (showTotals(answer), note("totals", answer)), "totals"],
  ["/v1/badges", (answer) => showBadges(answer.badges), "badges"],
  ["/v1/positions?page_size=500", showPositions, "positions-panel"],
  ["/v1/alerts?page_size=500", (answer) => (showAlerts(answer), markPositions(answer.alerts.filter((alert) => isJudged(alert) && !isNews(alert)), null)), "alerts-panel"],
  ["/v1/hedges?page_size=100", (answer) => (showHedges(answer), markPositions(null, answer.hedges)), "hedges-panel"],
  ["/v1/monitors", showMonitors, "monitors-panel"],
  ["/v1/deliveries?page_size=8", showDeliveries, "deliveries-panel"],
  ["/v1/channels", (answer) => (showChannels(answer), note("channels", answer)), null],
  ["/v1/cycles?page_size=8", showCycles, "cycles-panel"],
  ["/v1/schedule", (answer) => (showSchedule(answer), note("schedule", answer)), null],
];

let fetchedTime = null;
let fetching = null;
let newest = "";
let polls = 0;
let timer = 0;
let hush = null;

function refetch() {
  fetching ??= Promise.all(SOURCES.map(fetchOne)).then((good) => {
    fetching = null;
    if (good.some(Boolean)) {
      fetchedTime = new Date();
      byId("fetched").textContent = `Fetched at ${fetchedTime.toLocaleTimeString()}`;
      document.body.classList.remove("waiting");
    }
  });
  return fetching;
}

async function fetchOne([path, display, place]) {
  try {
    const answer = await get(path);
    display(answer);
    markOld(place, null);
    return true;
  } catch (problem) {
    markOld(place, problem);
    return false;
  }
}

/** A part whose service does not answer keeps its last figures, and says that they are old. */
function markOld(place, problem) {
  if (!place) return;
  const part = byId(place);
  part.classList.toggle("old", problem !== null);
  const words = part.querySelector("[data-trouble]");
  if (!words) return;
  words.hidden = problem === null;
  words.textContent = problem === null ? "" : `old: ${problem.message}`;
}

function connection(problem) {
  const banner = byId("lost");
  banner.hidden = problem === null;
  document.body.classList.toggle("disconnected", problem !== null);
  if (problem === null) return;
  const since = fetchedTime ? `every figure is as of ${fetchedTime.toLocaleTimeString()}` : "nothing was fetched yet";
  banner.textContent = `Connection lost: ${since}. Trying again.`;
}

async function poll() {
  clearTimeout(timer);
  try {
    await look();
  } finally {
    clearTimeout(timer);
    if (!document.hidden) timer = setTimeout(poll, POLL_MS);
  }
}

/** Any answer is a connection; a service that is down shows in its own part. */
async function look() {
  try {
    if (polls++ % HEALTH_EVERY === 0) showHealth(await health());
    const found = await get("/v1/cycles?page_size=1").catch(reported);
    connection(null);
    const cycle = found?.cycles[0];
    const mark = cycle ? `${cycle.id} ${cycle.state}` : "";
    const old = fetchedTime === null || Date.now() - fetchedTime > REFETCH_MS;
    if (mark !== newest || old) await refetch();
    newest = mark;
  } catch (problem) {
    connection(problem);
  }
}

/** A failure the gateway itself reports is an answer; anything else is not. */
const reported = (problem) => {
  if (problem.reason) return null;
  throw problem;
};

async function run() {
  const button = byId("run");
  button.disabled = true;
  try {
    await follow("/v1/cycles:run", {}, (message) => message.cycle && showProgress(message.cycle, message.done));
    await refetch();
  } catch (problem) {
    showRefusal(problem.message);
  } finally {
    button.disabled = false;
  }
}

function watch() {
  hush?.();
  hush = document.hidden ? null : listen("/v1/prices:watch", (message) => showPrices(message.prices));
}

byId("run").addEventListener("click", run);
keepTheme();
document.addEventListener("visibilitychange", () => {
  watch();
  if (document.hidden) clearTimeout(timer);
  else poll();
});
keepAging();
watch();
poll();
