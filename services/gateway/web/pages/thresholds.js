// Thresholds: the limits by which alerts are judged, with what they would raise while they are edited.

import { get } from "/web/api.js";
import { h, show } from "/web/dom.js";
import { sheet } from "/web/router.js";
import { keep, panel } from "/web/states.js";
import { add, exportAll, importAll } from "/web/thresholds/add.js";
import { row } from "/web/thresholds/row.js";
import { nameOf } from "/web/thresholds/words.js";
import { busy } from "/web/toast.js";
import { versions } from "/web/versions.js";

export const title = "Thresholds";

// The cards that people know by these names; what stands in them stands nowhere else.
const CARDS = [
  { name: "Risk Monitor", about: "how near positions are to liquidation", rows: [["HEAT_INDEX-POSITION-ABOVE", "Heat"], ["TRAVEL_PERCENT-POSITION-BELOW", "Travel"]] },
  { name: "Profit Monitor", about: "what could be taken; told as news, it rings nobody", rows: [["PROFIT-POSITION-ABOVE", "Single"], ["TOTAL_PROFIT-PORTFOLIO-ABOVE", "Sum"]] },
];
const CLASSES = [
  ["ALERT_CLASS_POSITION", "Position", "judged for every position"],
  ["ALERT_CLASS_ACCOUNT", "Account", "judged for every account with shared collateral"],
  ["ALERT_CLASS_PORTFOLIO", "Portfolio", "judged by the sums over all positions"],
  ["ALERT_CLASS_MARKET", "Market", "prices of one asset; moves and targets are price rules"],
];

export function mount(root) {
  sheet("thresholds");
  const rows = new Map();
  const tool = (text, act) => h("button", { type: "button", class: "second", on: { click: (event) => busy(event.target, act) } }, text);
  const known = { thresholds: [], channels: [], assets: [], held: [] };
  const assets = () => (known.assets.length ? [...new Set([...known.assets, ...known.held])] : []);
  const tools = [
    tool("Limits for one asset", async () => (await known.read, add(known.thresholds, assets(), () => kept.refresh()))),
    tool("Versions", () => versions("/v1/thresholdVersions", "thresholds", () => kept.refresh())),
    tool("Export", exportAll),
    tool("Import", () => importAll(() => kept.refresh())),
  ];
  const part = panel("Thresholds", { wide: true, tools, rows: 14, id: "thresholds" });
  part.node.classList.add("bare");
  root.append(h("h1", { class: "hidden-title" }, title), part.node);

  const groups = new Map();
  const group = (name, about) => {
    if (!groups.has(name)) {
      const list = h("div", { class: "rows" });
      const head = h("div", { class: "head" }, h("h3", {}, name), h("span", { class: "count" }, about));
      groups.set(name, { list, node: h("section", { class: "panel limits", "aria-label": name }, head, list) });
    }
    return groups.get(name);
  };

  function display({ thresholds, summary }) {
    known.thresholds = thresholds;
    if (summary) known.held = summary.metrics.flatMap((one) => Object.keys(one.worst_by_asset ?? {}));
    const metrics = new Map((summary?.metrics ?? []).map((one) => [one.type, one]));
    const places = placed(thresholds);
    for (const { threshold, name, about, title: called } of places) {
      const held = rows.get(threshold.id) ?? row(threshold, { title: called, channels: () => known.channels, reload: () => kept.refresh() });
      rows.set(threshold.id, held);
      held.take(threshold, metrics.get(threshold.type));
      const { list } = group(name, about);
      if (held.node.parentNode !== list) list.append(held.node);
    }
    const there = new Set(thresholds.map((one) => one.id));
    for (const [id, held] of rows) if (!there.has(id)) (held.node.remove(), rows.delete(id));
    for (const [name, { node, list }] of groups) if (!list.childElementCount) (node.remove(), groups.delete(name));
    part.setCount(`${thresholds.filter((one) => one.enabled).length} of ${thresholds.length} judge`);
    if (part.body.firstElementChild?.classList.contains("cards")) for (const { node } of groups.values()) node.isConnected || part.body.firstElementChild.append(node);
    else show(part.body, h("div", { class: "cards" }, [...groups.values()].map(({ node }) => node)));
  }

  const kept = keep(part, read, display);
  known.read = Promise.allSettled([
    get("/v1/channels").then(({ channels }) => (known.channels = channels.map((one) => one.name))),
    get("/v1/prices?page_size=500").then(({ prices }) => (known.assets = prices.map((one) => one.asset))),
  ]);
  return kept.stop;
}

/** The limits are shown even when nothing can be said of how they stand. */
async function read() {
  const [{ thresholds }, summary] = await Promise.all([get("/v1/thresholds?page_size=500"), get("/v1/alerts:summary").catch(() => null)]);
  return { thresholds, summary };
}

/** Every threshold with its group: the cards first, then the classes, an asset after the one for all. */
function placed(thresholds) {
  const cards = CARDS.flatMap(({ name, about, rows }) => rows.map(([id, called]) => ({ threshold: thresholds.find((one) => one.id === id), name, about, title: called })));
  const carded = new Set(cards.map(({ threshold }) => threshold?.id));
  const sorted = [...thresholds].sort((a, b) => nameOf(a).localeCompare(nameOf(b)) || a.asset.localeCompare(b.asset));
  const rest = CLASSES.flatMap(([kind, name, about]) => sorted.filter((one) => one.alert_class === kind && !carded.has(one.id)).map((threshold) => ({ threshold, name, about })));
  return [...cards.filter(({ threshold }) => threshold), ...rest];
}
