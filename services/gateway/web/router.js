// Which page is shown, by the path of its address: real links, back and forward, and a reload lead to the same.
//
// THE CONTRACT OF A PAGE
//
// A page is one module, pages/NAME.js, and one line in ROUTES below and in PAGES of services/gateway/pages.py (a test
// holds the two alike). A page that does not exist yet stands in neither. It exports
//
//   title                 its name for the tab: a text, or (params) => text
//   mount(root, {params, query}) -> unmount
//
// `root` is an empty element inside <main>; `params` holds the texts of `{...}` in the path, decoded; `query` is a
// URLSearchParams. `mount` returns at once: what must be fetched comes later, by `keep` of states.js, which shows first
// load, empty, error and old figures. `unmount()` ends all that `mount` began (what `keep`, `listen`, `onCycle`, `table`
// returned); nothing else may outlive the page. The same page under another address is unmounted and mounted anew.
// What a person chose (filter, order, page) goes into the address by `setQuery`, which neither mounts nor adds a step
// to the history.
//
// Of the shell a page touches only `root`. It uses
//
//   api.js      get, post, patch, put, remove; Failure {status, reason, message, fields, fix}, `isConflict`
//   live.js     listen(path, each) -> close: a Watch stream; it reconnects, waits longer each time, and the shell says so
//   cycle_feed.js  onCycle(act) -> stop: after every cycle that ended
//   states.js   panel(title) and keep(panel, fetch, show)
//   dom.js      h(tag, settings, ...children), show(place, ...nodes), pill, unknown, empty, fold
//   format.js   usd, price, percent, plain, word, code ...: never toFixed by hand; ages.js: age(time)
//   table.js    table({...}), keepTable(panel, table): the server's order and pages; rows are recycled
//   form.js     form({...}): fields with bounds, the message beside the field
//   dialog.js   confirm({...}) -> promise of true or false, open(title, ...nodes)
//   toast.js    say(text): what was done; warn(text): what was not
//   charts.js   draw(place, picture): uPlot
//
// Text of strangers goes through h() as a child and never becomes markup. No inline style or script (the policy refuses
// them): classes in style.css or in a sheet of the page's own, pages/NAME.css, which `mount` asks for by `sheet("NAME")`.
// Every change is asked of the server and shown from its answer, never from what was hoped.

import { h, show } from "/web/dom.js";

export const ROUTES = [
  { path: "/", name: "overview", label: "Overview" },
  { path: "/positions", name: "positions", label: "Positions" },
  { path: "/positions/{id}", name: "position", under: "/positions" },
  { path: "/alerts", name: "alerts", label: "Alerts" },
  { path: "/thresholds", name: "thresholds", label: "Thresholds" },
  { path: "/rules", name: "rules", label: "Price rules" },
  { path: "/monitors", name: "monitors", label: "Monitors" },
  { path: "/deliveries", name: "deliveries", label: "Deliveries" },
  { path: "/hedges", name: "hedges", label: "Hedges" },
  { path: "/wallets", name: "wallets", label: "Wallets" },
  { path: "/cycles", name: "cycles", label: "Cycles" },
  { path: "/cycles/{id}", name: "cycle", under: "/cycles" },
  { path: "/prices", name: "prices", label: "Prices" },
  { path: "/backtest", name: "backtest", label: "Backtest" },
  { path: "/replay", name: "replay", label: "Replay" },
  { path: "/scorecard", name: "scorecard", label: "Scorecard" },
  { path: "/withdrawals", name: "withdrawals", label: "Withdrawals" },
  { path: "/portfolio", name: "portfolio", label: "Portfolio" },
  { path: "/sleep", name: "sleep", label: "Sleep" },
  { path: "/logs", name: "logs", label: "Logs" },
];

const compiled = ROUTES.map((route) => ({
  ...route,
  pattern: new RegExp(`^${route.path.replace(/\{(\w+)\}/g, "(?<$1>[^/]+)")}$`),
}));

/** The route of a path with what its path says; undefined when none is. */
export function find(path) {
  for (const route of compiled) {
    const met = route.pattern.exec(path);
    if (!met) continue;
    try {
      const params = Object.fromEntries(Object.entries(met.groups ?? {}).map(([name, text]) => [name, decodeURIComponent(text)]));
      return { ...route, params };
    } catch {
      return undefined;
    }
  }
  return undefined;
}

let place = null;
let changed = () => {};
let unmount = null;
let mounted = 0;
let shownAt = "";

const here = () => location.pathname + location.search;

/** Shows what the address says, now and whenever it changes; `told(route, title)` hears of every page. */
export function start(main, told) {
  place = main;
  changed = told;
  document.addEventListener("click", follow);
  addEventListener("popstate", () => here() !== shownAt && go(null));
  return go(null);
}

/** Goes to an address of ours, as a link does. */
export async function go(address) {
  if (address !== null) history.pushState(null, "", address);
  shownAt = here();
  const mine = ++mounted;
  const found = find(location.pathname);
  const page = await load(found, mine > 1);
  if (mine !== mounted) return;
  unmount?.();
  const root = h("div", { class: `page page-${found?.name ?? "none"}` });
  show(place, root);
  scrollTo(0, 0);
  const params = found?.params ?? {};
  unmount = page.mount(root, { params, query: new URLSearchParams(location.search) }) ?? null;
  changed(found, typeof page.title === "function" ? page.title(params) : page.title);
  // A reader of the screen is told by the heading; the first page keeps the focus where the browser put it.
  if (address !== null) place.focus({ preventScroll: true });
}

/** Keeps a choice in the address: an empty value takes it out. */
export function setQuery(values) {
  const query = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(values)) value ? query.set(name, value) : query.delete(name);
  const text = query.toString();
  history.replaceState(null, "", location.pathname + (text ? `?${text}` : ""));
  shownAt = here();
}

/** A style sheet of a page's own, asked for once. */
export function sheet(name) {
  const address = `/web/pages/${name}.css`;
  if (document.querySelector(`link[href="${address}"]`)) return;
  document.head.append(h("link", { rel: "stylesheet", href: address }));
}

async function load(found, again) {
  if (!found) return missing("There is no page at this address.");
  try {
    return await import(`/web/pages/${found.name}.js`);
  } catch (problem) {
    // Another release took the place of this one: its pages come with a shell of theirs.
    if (again && (await fetch("/livez").then(({ ok }) => ok, () => false))) location.reload();
    return missing(`This page could not be loaded: ${problem.message}. Reload when Sonic answers again.`);
  }
}

const missing = (text) => ({
  title: "Not here",
  mount: (root) => root.append(h("section", { class: "panel" }, h("p", { class: "empty" }, text, " ", h("a", { href: "/" }, "To the overview")))),
});

/** Only a plain click on a link of ours is taken; everything else is the browser's. */
function follow(event) {
  const link = event.target.closest?.("a[href]");
  if (!link || event.defaultPrevented || event.button !== 0) return;
  if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey || link.target || link.hasAttribute("download")) return;
  const to = new URL(link.href);
  if (to.origin !== location.origin || !find(to.pathname)) return;
  if (to.hash && to.pathname === location.pathname) return;
  event.preventDefault();
  go(to.pathname + to.search);
}
