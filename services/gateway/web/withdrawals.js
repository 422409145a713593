// Keeps the page of withdrawals true: what was chosen, the decision as it comes, the charts behind it.

import { keepAging } from "/web/ages.js";
import { follow, get, post } from "/web/api.js";
import { anyStale, showDecision, showTotal } from "/web/advice.js";
import { byId, h, show } from "/web/dom.js";
import { showPosition, showPrices, showResidual } from "/web/pictures.js";
import { listen } from "/web/live.js";
import { keepTheme } from "/web/theme.js";

const TOTAL = "total";
const LOOK_MS = 10000;
// Samples come between decisions too.
const REFETCH_MS = 60000;
// Venue and price sources may be slow.
const EVALUATE_MS = 60000;
const VIEWS = { position: "CORRECTED", gain: "GAIN_PERCENT", rate: "RATE_USD", ada: "RATE_ADA" };
const DAYS = { "1d": 1, "7d": 7, "30d": 30, "90d": 90, "1y": 365, all: 0 };
const BINS = { none: 0, "1h": 3600, "6h": 21600, "1d": 86400, "7d": 604800 };

const chosen = { asset: "", view: "position", range: "30d", bin: "none" };
const decisions = new Map();
let assets = null;
let asked = 0;
let drawnTime = 0;
let downSince = null;
let timer = 0;
let hush = null;
let wasStale = false;

/** What the address says, as far as the page knows it. */
function readAddress() {
  const told = new URLSearchParams(location.search);
  chosen.asset = (told.get("asset") ?? "").toLowerCase();
  for (const [name, known] of [["view", VIEWS], ["range", DAYS], ["bin", BINS]]) if (Object.hasOwn(known, told.get(name) ?? "")) chosen[name] = told.get(name);
  for (const name of ["view", "range", "bin"]) byId(name).value = chosen[name];
}

function choose(name, value) {
  chosen[name] = value;
  history.replaceState(null, "", `?${new URLSearchParams(chosen)}`);
  if (name === "asset") showAdvice();
  fetchCharts();
}

function showAssets(found) {
  const names = found.map((asset) => asset.name);
  const before = assets?.join();
  assets = names;
  byId("demo").hidden = !found.some((asset) => asset.demo);
  if (names.join() === before) return;
  if (!names.includes(chosen.asset) && chosen.asset !== TOTAL) chosen.asset = names[0] ?? TOTAL;
  show(byId("asset"), [...names, TOTAL].map((name) => h("option", {}, name)));
  byId("asset").value = chosen.asset;
  for (const id of ["asset", "view", "range", "bin", "evaluate"]) byId(id).disabled = names.length === 0;
  showAdvice();
  fetchCharts();
}

function showAdvice() {
  wasStale = anyStale([...decisions.values()]);
  if (assets?.length === 0) {
    showDecision(undefined);
    return show(byId("decision"), h("p", { class: "empty" }, "No asset is watched yet. `sonic withdrawals add djed` adds one; its supply shows after the first evaluation."));
  }
  if (chosen.asset === TOTAL) return showTotal(assets.map((name) => decisions.get(name)).filter(Boolean));
  return showDecision(decisions.get(chosen.asset));
}

function series(view, start, bin) {
  const query = new URLSearchParams({ asset: chosen.asset, view });
  if (start) query.set("start_time", start);
  if (bin) query.set("bin", `${bin}s`);
  return get(`/v1/withdrawals/series?${query}`);
}

async function fetchCharts() {
  if (!assets?.length) return;
  const mine = ++asked;
  drawnTime = Date.now();
  const days = DAYS[chosen.range];
  const start = days ? new Date(Date.now() - days * 86400000).toISOString() : "";
  const isTotal = chosen.asset === TOTAL;
  // Of all assets together there is no price.
  byId("prices-panel").hidden = isTotal;
  for (const option of byId("view").options) option.disabled = isTotal && ["rate", "ada"].includes(option.value);
  const view = isTotal && ["rate", "ada"].includes(chosen.view) ? "position" : chosen.view;
  byId("view").value = view;
  const bin = BINS[chosen.bin];
  const panel = (id, parts, display) =>
    Promise.all(parts).then(
      (found) => mine === asked && (display(...found), markOld(id, null)),
      (problem) => mine === asked && markOld(id, problem),
    );
  const asset = encodeURIComponent(chosen.asset);
  await Promise.all([
    panel("position-panel", [series(VIEWS[view], start, bin), view === "position" ? series("POSITION", start, bin) : null], (main, other) => showPosition(view, main, other)),
    panel("residual-panel", [series("RESIDUAL", start, 0)], showResidual),
    isTotal ? null : panel("prices-panel", [series("RATE_USD", start, 0), get(`/v1/withdrawals/decisions?asset=${asset}&page_size=200${start ? `&start_time=${start}` : ""}`)], (found, told) => showPrices(found, told.decisions)),
  ]);
  byId("fetched").textContent = `Fetched at ${new Date().toLocaleTimeString()}`;
}

/** A part that could not be read keeps its last figures, and says that they are old. */
function markOld(id, problem) {
  const words = byId(id).querySelector("[data-trouble]");
  byId(id).classList.toggle("old", problem !== null);
  words.hidden = problem === null;
  words.textContent = problem === null ? "" : `old: ${problem.message}`;
}

function connection(problem) {
  document.body.classList.toggle("disconnected", problem !== null);
  byId("lost").hidden = problem === null;
  if (problem === null) {
    if (downSince) fetchCharts();
    downSince = null;
    return;
  }
  downSince ??= new Date();
  const what = problem.reason ? `The withdrawals service does not answer (${problem.message})` : "Connection lost";
  byId("lost").textContent = `${what}: since ${downSince.toLocaleTimeString()} every figure here is old. Trying again.`;
}

/** Any answer is a connection, and of this service alone. */
async function look() {
  clearTimeout(timer);
  try {
    const found = await get("/v1/withdrawals/assets?page_size=500");
    document.body.classList.remove("waiting");
    connection(null);
    showAssets(found.assets);
    if (anyStale([...decisions.values()]) !== wasStale) showAdvice();
    if (Date.now() - drawnTime > REFETCH_MS) fetchCharts();
  } catch (problem) {
    connection(problem);
  } finally {
    clearTimeout(timer);
    if (!document.hidden) timer = setTimeout(look, downSince ? LOOK_MS / 5 : LOOK_MS);
  }
}

function watch() {
  hush?.();
  const take = (message) => {
    for (const decision of message.decisions) decisions.set(decision.asset, decision);
    const here = message.decisions.some((decision) => decision.asset === chosen.asset || chosen.asset === TOTAL);
    if (!here || !assets) return;
    showAdvice();
    fetchCharts();
  };
  hush = document.hidden ? null : listen("/v1/withdrawals/decisions:watch", take);
}

function progress(text, detail = "", done = 0, all = 0) {
  byId("progress").hidden = false;
  byId("progress-text").textContent = text;
  byId("progress-detail").textContent = detail;
  const bar = byId("progress-bar");
  bar.hidden = all === 0;
  bar.max = Math.max(1, all);
  bar.value = done;
}

/** Runs while its button waits; a refusal is said where progress would be. */
async function busy(id, act) {
  byId(id).disabled = true;
  try {
    await act();
  } catch (problem) {
    progress(`Not done: ${problem.message}`);
  } finally {
    byId(id).disabled = false;
  }
}

function sync() {
  progress("Sync has begun …");
  return follow("/v1/withdrawals/transactions:sync", {}, (told) => {
    const failed = told.done && told.errors.length ? ` Not read: ${told.errors.join("; ")}` : "";
    const text = told.demo ? `Simulated supply: no venue is asked, and all ${told.seen_count} flows of the simulation are here.` : told.done ? `Synchronised: ${told.new_count} new flows.${failed}` : `Wallet ${Math.min(told.wallet_count + 1, told.wallets_total)} of ${told.wallets_total}`;
    const others = told.unresolved_count ? `, ${told.unresolved_count} of an unknown market` : "";
    progress(text, `${told.seen_count} transactions seen in ${told.window_count} windows${others}`, told.wallet_count, told.wallets_total);
  }).then(fetchCharts);
}

async function evaluate() {
  const answer = await post("/v1/withdrawals:evaluate", chosen.asset === TOTAL ? {} : { assets: [chosen.asset] }, EVALUATE_MS);
  progress(answer.decisions.map((decision) => decision.summary).join("; ") || "No asset is watched.");
}

readAddress();
keepTheme();
for (const name of ["asset", "view", "range", "bin"]) byId(name).addEventListener("change", (event) => choose(name, event.target.value));
byId("controls").addEventListener("submit", (event) => event.preventDefault());
byId("sync").addEventListener("click", () => busy("sync", sync));
byId("evaluate").addEventListener("click", () => busy("evaluate", evaluate));
document.addEventListener("visibilitychange", () => {
  watch();
  if (document.hidden) clearTimeout(timer);
  else look();
});
keepAging();
watch();
look();
