// Wallets: whose positions are watched, how each was last read, what liquidates it as a whole, and what is held elsewhere.

import { age } from "/web/ages.js";
import { get } from "/web/api.js";
import { empty, h, pill, show, unknown } from "/web/dom.js";
import { code, plain, present, usd, word } from "/web/format.js";
import { sheet } from "/web/router.js";
import { keep, panel } from "/web/states.js";
import { busy, say } from "/web/toast.js";
import { accounts } from "/web/wallets/accounts.js";
import { dropBroker, dropWallet, editBroker, editWallet, exportWallets, importWallets, setActive } from "/web/wallets/edit.js";

export const title = "Wallets";

const SYNC = { COMPLETE: "run-SUCCESS", PARTIAL: "level-MEDIUM", FAILED: "run-ERROR" };

export function mount(root) {
  sheet("lists");
  const tool = (text, act, kind = "second") => h("button", { type: "button", class: kind, on: { click: (event) => busy(event.target, async () => act()) } }, text);
  const totals = h("section", { class: "totals three", "aria-label": "Balances" });
  const wallets = panel("Wallets", { wide: true, rows: 4, id: "wallets", tools: [tool("Watch a wallet", () => editWallet(null, again), "primary"), tool("Import", () => importWallets(again)), tool("Export CSV", () => exportWallets("csv")), tool("Export JSON", () => exportWallets("json"))] });
  const brokers = panel("Brokers", { wide: true, rows: 2, id: "brokers", tools: [tool("Add", () => editBroker(null, again))] });
  const pools = panel("Accounts: what is liquidated together", { wide: true, rows: 4, id: "accounts" });
  root.append(h("h1", { class: "hidden-title" }, title), totals, wallets.node, pools.node, brokers.node);
  const kept = [
    keep(wallets, () => get("/v1/wallets?page_size=500"), (answer) => showWallets(wallets, answer, again)),
    accounts(pools),
    keep(brokers, () => get("/v1/brokers?page_size=500"), (answer) => showBrokers(brokers, answer, again)),
    keep({ node: totals, body: totals, trouble: h("span") }, () => get("/v1/balances"), (answer) => showBalances(totals, answer)),
  ];
  function again() {
    return Promise.all(kept.map((one) => one.refresh()));
  }
  return () => kept.forEach((one) => one.stop());
}

function showBalances(place, balances) {
  const tile = (label, value, below) => h("div", { class: "tile lead" }, h("span", { class: "label" }, label), h("strong", { class: "n" }, usd(value)), h("small", {}, below));
  const missing = (count, noun) => (Number(count) ? `${count} ${noun} not known, and added as nothing` : "");
  show(place, [
    tile("In wallets", balances.total_wallets_usd, missing(balances.absent_wallet_count, "balances") || "entered, else the value of the positions"),
    tile("At brokers", balances.total_brokers_usd, missing(balances.absent_broker_count, "holdings") || "as entered"),
    tile("In all", balances.total_usd, ""),
  ]);
}

function showWallets(part, { wallets }, again) {
  part.setCount(`${wallets.filter((one) => one.active).length} of ${wallets.length} are synced`);
  const none = empty("No wallet yet. Watch one by its public address; until then the demo is shown.");
  show(part.body, wallets.length ? h("div", { class: "list" }, wallets.map((one) => walletRow(one, again))) : none);
}

function walletRow(wallet, again) {
  const state = code(wallet.last_sync_state, "WALLET_SYNC_STATE_");
  const active = h("input", { type: "checkbox", checked: wallet.active, "aria-label": `${wallet.name} is synced`, data: { key: `active ${wallet.name}` }, on: { change: () => busy(active, () => setActive(wallet, active.checked).finally(again)) } });
  const button = (text, act) => h("button", { type: "button", class: "second small", "aria-label": `${text} ${wallet.name}`, data: { key: `${text} ${wallet.name}` }, on: { click: (event) => busy(event.target, async () => act()) } }, text);
  const demo = wallet.chain === "CHAIN_DEMO";
  const native = present(wallet.balance_native) ? h("span", { class: "subject n" }, `${plain(wallet.balance_native, 4)} on the chain`) : null;
  return h(
    "article",
    { class: "item wallet", data: { wallet: wallet.name } },
    h("div", { class: "line wraps" }, active, h("b", {}, wallet.name), h("span", { class: "subject" }, word(wallet.chain, "CHAIN_")), demo ? pill("DEMO", "level-LOW") : null, (wallet.tags ?? []).map((tag) => pill(tag, "soft")), h("span", { class: "n value" }, present(wallet.balance_usd) ? usd(wallet.balance_usd) : unknown("balance")), demo ? null : h("span", { class: "row-acts beside" }, button("Edit", () => editWallet(wallet, again)), button("Remove", () => dropWallet(wallet, again)))),
    h("div", { class: "line below wraps" }, address(wallet), native, h("span", { class: "subject" }, word(wallet.type, "WALLET_TYPE_")), state ? pill(state, SYNC[state]) : h("span", { class: "subject" }, "not read yet"), wallet.last_sync_reason ? h("span", { class: "loss" }, word(wallet.last_sync_reason)) : null, wallet.last_sync_time ? age(wallet.last_sync_time, { coloured: wallet.active, before: "read ", after: " ago" }) : null),
    (wallet.unwatched ?? []).map((text) => h("p", { class: "moved" }, text)),
  );
}

function address(wallet) {
  if (!wallet.public_address) return null;
  const copy = async () => {
    await navigator.clipboard?.writeText(wallet.public_address);
    say(`The address of ${wallet.name} was copied.`);
  };
  const short = wallet.public_address.length > 16 ? `${wallet.public_address.slice(0, 6)}…${wallet.public_address.slice(-6)}` : wallet.public_address;
  return h("button", { type: "button", class: "link n", title: `${wallet.public_address}: copy`, data: { key: `copy ${wallet.name}` }, on: { click: copy } }, short);
}

function showBrokers(part, { brokers }, again) {
  part.setCount(brokers.length ? `${brokers.length}` : "");
  const button = (broker, text, act) => h("button", { type: "button", class: "second small", "aria-label": `${text} ${broker.name}`, on: { click: (event) => busy(event.target, async () => act()) } }, text);
  const row = (broker) => h(
    "article",
    { class: "item", data: { broker: broker.name } },
    h("div", { class: "line wraps" }, h("b", {}, broker.name), broker.web_address ? h("a", { href: broker.web_address, target: "_blank", rel: "noreferrer noopener" }, broker.web_address) : null, broker.updated_time ? age(broker.updated_time, { before: "entered ", after: " ago" }) : null, h("span", { class: "n value" }, present(broker.total_holding_usd) ? usd(broker.total_holding_usd) : unknown("holding")), h("span", { class: "row-acts beside" }, button(broker, "Edit", () => editBroker(broker, again)), button(broker, "Remove", () => dropBroker(broker, again)))),
  );
  show(part.body, brokers.length ? h("div", { class: "list" }, brokers.map(row)) : empty("Nothing is held elsewhere."));
}
