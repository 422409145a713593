// Withdrawals: what a supply allows to take out, why, and the charts behind it.

import { follow, get, post } from "/web/api.js";
import { empty, h, pill, show } from "/web/dom.js";
import { listen } from "/web/live.js";
import { setQuery, sheet } from "/web/router.js";
import { keep, panel } from "/web/states.js";
import { busy } from "/web/toast.js";
import { anyStale, showDecision, showTotal } from "/web/withdrawals/decision.js";
import { chartPanel, showPosition, showPrices, showResidual } from "/web/withdrawals/pictures.js";
import { progress } from "/web/withdrawals/progress.js";

export const title = "Withdrawals";

const TOTAL = "total";
const LOOK_MS = 10000;
// Samples come between decisions too.
const CHARTS_MS = 60000;
const VIEWS = { position: "CORRECTED", gain: "GAIN_PERCENT", rate: "RATE_USD", ada: "RATE_ADA" };
const DAYS = { "1d": 1, "7d": 7, "30d": 30, "90d": 90, "1y": 365, all: 0 };
const BINS = { none: 0, "1h": 3600, "6h": 21600, "1d": 86400, "7d": 604800 };
// Of all assets together there is no price.
const OF_ONE = ["rate", "ada"];
const CHOICES = {
  view: ["View", [["position", "Position"], ["gain", "Gain, % of the base"], ["rate", "Price, USD"], ["ada", "Price, ADA"]]],
  range: ["Range", [["1d", "1 day"], ["7d", "7 days"], ["30d", "30 days"], ["90d", "90 days"], ["1y", "1 year"], ["all", "All"]]],
  bin: ["Aggregation", [["none", "Every sample"], ["1h", "Hour"], ["6h", "6 hours"], ["1d", "Day"], ["7d", "Week"]]],
};

/** What the address says, as far as the page knows it. */
function wanted(query) {
  const chosen = { asset: (query.get("asset") ?? "").toLowerCase(), view: "position", range: "30d", bin: "none" };
  for (const [name, known] of [["view", VIEWS], ["range", DAYS], ["bin", BINS]]) if (Object.hasOwn(known, query.get(name) ?? "")) chosen[name] = query.get(name);
  return chosen;
}

export function mount(root, { query }) {
  sheet("withdrawals");
  const chosen = wanted(query);
  const decisions = new Map();
  let assets = null;
  let wasStale = false;
  const button = (id, text, kind, act) => h("button", { type: "button", id, class: kind, on: { click: (event) => busy(event.currentTarget, act) } }, text);
  const [sync, evaluate] = [button("sync", "Sync transactions", "second", synchronise), button("evaluate", "Evaluate now", "primary", judge)];
  const selects = Object.fromEntries(["asset", "view", "range", "bin"].map((name) => [name, select(name)]));
  const asked = progress();
  const demo = h("span", {}, pill("DEMO", "level-LOW"), " simulated supply: add an asset, and it is gone");
  demo.hidden = true;
  const parts = {
    decision: panel("Decision", { rows: 6, id: "decision-panel", tools: [sync, evaluate] }),
    wallets: panel("Allowance of each wallet", { rows: 6, id: "wallets-panel" }),
    position: chartPanel("Position", "position", { wide: true, tall: true }),
    residual: chartPanel("Residual and its band", "residual"),
    distribution: chartPanel("Distribution of residuals", "distribution"),
    prices: chartPanel("Prices of the sources", "prices", { wide: true }),
  };
  parts.decision.body.id = "decision";
  const choices = h("div", { class: "choices wide", role: "search", "aria-label": "What is shown" }, [["asset", "Asset"], ...Object.entries(CHOICES).map(([name, [label]]) => [name, label])].map(([name, label]) => h("label", {}, h("span", {}, label), selects[name])), demo);
  root.append(h("h1", { class: "hidden-title" }, title), choices, asked.node, ...Object.values(parts).map((part) => part.node));

  function select(name) {
    const options = (CHOICES[name]?.[1] ?? []).map(([value, text]) => h("option", { value, selected: value === chosen[name] }, text));
    return h("select", { id: name, on: { change: (event) => choose(name, event.target.value) } }, options);
  }

  function choose(name, value) {
    chosen[name] = value;
    setQuery(chosen);
    if (name === "asset") showAdvice();
    charts();
  }

  /** Names of the assets; asked for by whichever part comes first. */
  async function read() {
    const found = await get("/v1/withdrawals/assets?page_size=500");
    const names = found.assets.map((asset) => asset.name);
    demo.hidden = !found.assets.some((asset) => asset.demo);
    const changed = names.join() !== assets?.join();
    assets = names;
    if (changed) listAssets();
    return changed;
  }

  function listAssets() {
    if (!assets.includes(chosen.asset) && chosen.asset !== TOTAL) chosen.asset = assets[0] ?? TOTAL;
    show(selects.asset, [...assets, TOTAL].map((name) => h("option", { value: name, selected: name === chosen.asset }, name)));
    for (const control of [...Object.values(selects), evaluate]) control.disabled = assets.length === 0;
  }

  function showAdvice() {
    wasStale = anyStale([...decisions.values()]);
    if (!assets.length) {
      showDecision(parts, undefined);
      return show(parts.decision.body, empty("No asset is watched yet. `sonic withdrawals add djed` adds one; its supply shows after the first evaluation."));
    }
    if (chosen.asset === TOTAL) return showTotal(parts, assets.map((name) => decisions.get(name)).filter(Boolean));
    return showDecision(parts, decisions.get(chosen.asset));
  }

  function series(view, withBins = true) {
    const days = DAYS[chosen.range];
    const asking = new URLSearchParams({ asset: chosen.asset, view });
    if (days) asking.set("start_time", new Date(Date.now() - days * 86400000).toISOString());
    if (withBins && BINS[chosen.bin]) asking.set("bin", `${BINS[chosen.bin]}s`);
    return get(`/v1/withdrawals/series?${asking}`);
  }

  function told() {
    const days = DAYS[chosen.range];
    const start = days ? `&start_time=${new Date(Date.now() - days * 86400000).toISOString()}` : "";
    return get(`/v1/withdrawals/decisions?asset=${encodeURIComponent(chosen.asset)}&page_size=200${start}`);
  }

  /** A chart that is kept true; nothing is asked while no asset is watched. */
  function chart(part, fetch, display) {
    const ask = async () => {
      if (!assets) await read();
      return assets.length ? fetch() : null;
    };
    return keep(part, ask, (answer) => (answer ? display(answer) : show(part.body, empty("No asset is watched yet."))), { every: CHARTS_MS });
  }

  const position = () => {
    const isTotal = chosen.asset === TOTAL;
    for (const option of selects.view.options) option.disabled = isTotal && OF_ONE.includes(option.value);
    const view = isTotal && OF_ONE.includes(chosen.view) ? "position" : chosen.view;
    selects.view.value = view;
    return Promise.all([view, series(VIEWS[view]), view === "position" ? series("POSITION") : null]);
  };
  const prices = async () => {
    parts.prices.node.hidden = chosen.asset === TOTAL;
    return chosen.asset === TOTAL ? null : Promise.all([series("RATE_USD", false), told()]);
  };
  const drawn = [
    chart(parts.position, position, (answer) => showPosition(parts.position, ...answer)),
    chart(parts.residual, () => series("RESIDUAL", false), (answer) => showResidual(parts.residual, parts.distribution, answer)),
    chart(parts.prices, prices, ([samples, answer]) => showPrices(parts.prices, samples, answer.decisions)),
  ];
  const charts = () => drawn.forEach((one) => one.refresh());
  let first = true;
  const kept = keep(parts.decision, read, (changed) => {
    if (first || changed || anyStale([...decisions.values()]) !== wasStale) showAdvice();
    if (changed && !first) charts();
    first = false;
  }, { every: LOOK_MS });
  const close = listen("/v1/withdrawals/decisions:watch", (message) => {
    for (const decision of message.decisions) decisions.set(decision.asset, decision);
    if (first || !message.decisions.some((decision) => decision.asset === chosen.asset || chosen.asset === TOTAL)) return;
    showAdvice();
    charts();
  });

  async function synchronise() {
    asked.say("Sync has begun …");
    await follow("/v1/withdrawals/transactions:sync", {}, asked.ofWallets);
    charts();
  }

  async function judge() {
    const answer = await post("/v1/withdrawals:evaluate", chosen.asset === TOTAL ? {} : { assets: [chosen.asset] });
    asked.say(answer.decisions.map((decision) => decision.summary).join("; ") || "No asset is watched.");
  }

  return () => {
    close();
    [kept, ...drawn].forEach((one) => one.stop());
  };
}
