// The shell: what is on every page. Starts the router, and keeps the title bar true.

import { keepAging } from "/web/ages.js";
import { follow } from "/web/api.js";
import { onCycle, refreshAll, startFeed } from "/web/cycle_feed.js";
import { showProgress, showRefusal } from "/web/cycles.js";
import { byId, h, show } from "/web/dom.js";
import { keepFocus } from "/web/focus.js";
import { onTrouble } from "/web/live.js";
import { ROUTES, find, start } from "/web/router.js";
import { showSignedIn } from "/web/signed_in.js";
import { keepAlarm, setPage } from "/web/tab.js";
import { keepTheme } from "/web/theme.js";
import { keepTitleBar, showHeartbeat } from "/web/titlebar.js";
import { busy } from "/web/toast.js";
import { connectionIs, keepWorst } from "/web/worst.js";

let answeredTime = null;

function navigation(found) {
  const here = found ? (found.under ?? found.path) : "";
  const links = ROUTES.filter((route) => route.label);
  show(byId("nav"), links.map(({ path, label }) => h("a", { href: path, "aria-current": path === here ? "page" : null }, label)));
  byId("nav").querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
}

function connection(problem, cycle) {
  if (cycle) showHeartbeat(cycle);
  connectionIs(problem);
  const banner = byId("lost");
  banner.hidden = problem === null;
  document.body.classList.toggle("disconnected", problem !== null);
  if (problem === null) {
    answeredTime = new Date();
    byId("fetched").textContent = `Answered at ${answeredTime.toLocaleTimeString()}`;
    return;
  }
  const since = answeredTime ? `every figure is as of ${answeredTime.toLocaleTimeString()}` : "nothing was fetched yet";
  banner.textContent = `Connection lost: ${since}. Trying again.`;
}

function streams(lost) {
  const line = byId("stream-lost");
  line.hidden = lost.length === 0;
  if (!lost.length) return;
  const since = new Date(Math.min(...lost.map((one) => one.since)));
  const again = new Date(Math.min(...lost.map((one) => one.again)));
  line.textContent = `Live updates are lost since ${since.toLocaleTimeString()}: connecting again at ${again.toLocaleTimeString()}; until then figures are read every few seconds.`;
}

async function run() {
  try {
    await follow("/v1/cycles:run", {}, (message) => message.cycle && showProgress(message.cycle, message.done));
  } catch (problem) {
    showRefusal(problem.message);
  } finally {
    refreshAll();
  }
}

byId("run").addEventListener("click", (event) => busy(event.currentTarget, run));
keepFocus();
keepTheme();
keepAging();
onTrouble(streams);
navigation(find(location.pathname));
// A browser asks six things at once: the line that says the worst goes first, then the page, then the rest of the shell.
keepWorst();
await start(byId("main"), (found, title) => {
  navigation(found);
  setPage(found?.path === "/" ? "" : title);
});
startFeed(connection);
keepTitleBar(onCycle);
keepAlarm();
showSignedIn(document.querySelector(".controls"));
