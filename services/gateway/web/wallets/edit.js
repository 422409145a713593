// Wallets and brokers as forms; wallets as files.

import { get, patch, post, remove } from "/web/api.js";
import { h } from "/web/dom.js";
import { confirm, open } from "/web/dialog.js";
import { base64, fromBase64, pick, save } from "/web/files.js";
import { form } from "/web/form.js";
import { word } from "/web/format.js";
import { say, warn } from "/web/toast.js";
import { REFUSED, checkAddress, guard, looksSecret } from "/web/wallets/secrets.js";

const CHAINS = [["CHAIN_SOLANA", "Solana (Jupiter)"], ["CHAIN_DYDX", "dYdX"], ["CHAIN_ETHEREUM", "Ethereum, Hyperliquid"], ["CHAIN_MANUAL", "none: positions by hand"]];
const TYPES = [["WALLET_TYPE_PERSONAL", "personal"], ["WALLET_TYPE_BOT", "bot"], ["WALLET_TYPE_EXCHANGE", "exchange"], ["WALLET_TYPE_TEST", "test"]];
const FORMATS = { csv: "FILE_FORMAT_CSV", json: "FILE_FORMAT_JSON" };

const listed = (text) => text.split(",").map((one) => one.trim()).filter(Boolean);
const path = (name) => `/v1/wallets/${encodeURIComponent(name)}`;

/** A form in a dialog into which no secret can be typed. */
function guarded(title, words, settings) {
  const made = form({ ...settings, cancel: () => dialog.close() });
  guard(made.node, made.problem);
  const dialog = open(title, [words, made.node]);
  return dialog;
}

export function editWallet(wallet, reload) {
  const chains = wallet ? CHAINS.concat([[wallet.chain, wallet.chain]]).filter(([value]) => value === wallet.chain).slice(0, 1) : CHAINS;
  const fields = [
    wallet ? null : { name: "name", label: "Name", required: true, max_length: 64, help: "short; messages say it instead of the address" },
    { name: "chain", label: "Chain", kind: "select", options: chains },
    { name: "public_address", label: "Public address", value: wallet?.public_address, help: "never a private key or a seed phrase", check: (text, all) => checkAddress(all.chain, text) },
    { name: "type", label: "Kind", kind: "select", options: TYPES, value: wallet?.type },
    { name: "tags", label: "Tags", value: (wallet?.tags ?? []).join(", "), help: "parted by commas" },
    wallet ? { name: "balance_usd", label: "Balance", kind: "number", unit: "$", help: "empty: the value of its positions" } : null,
  ].filter(Boolean);
  const send = async (values) => {
    const body = { ...values, name: wallet?.name ?? values.name, tags: listed(values.tags) };
    const mask = ["public_address", "type", "tags", ...(values.balance_usd === undefined ? [] : ["balance_usd"])];
    const after = wallet ? await patch(path(wallet.name), body, mask) : await post("/v1/wallets", { ...body, active: true });
    say(`${after.name}: ${wallet ? "changed" : "watched from the next cycle on"}.`);
    await reload();
    dialog.close();
  };
  const dialog = guarded(wallet ? `Wallet ${wallet.name}` : "Watch a wallet", h("p", {}, "Only the public address: what it holds is read, nothing can be moved with it."), { fields, label: "Wallet", act: { label: wallet ? "Save" : "Watch", send } });
}

export async function setActive(wallet, active) {
  const after = await patch(path(wallet.name), { name: wallet.name, active }, ["active"]);
  say(`${after.name} is ${after.active ? "synced again" : "synced no more; its positions stay as they were last seen"}.`);
  return after;
}

/** A wallet that holds positions is deleted with them only when that was said. */
export async function dropWallet(wallet, reload) {
  if (!(await confirm({ title: `Remove ${wallet.name}?`, text: "It is watched no more. The chain itself is not touched.", act: "Remove", danger: true }))) return;
  try {
    await remove(path(wallet.name));
  } catch (problem) {
    if (problem.reason !== "WALLET_IN_USE") return warn(problem);
    const sure = await confirm({ title: `${wallet.name} holds positions`, text: `${problem.message}. Remove them with it? Their alerts end; the ledger keeps its rows.`, act: "Remove with positions", danger: true, word: wallet.name });
    if (!sure) return;
    await remove(`${path(wallet.name)}?force=true`);
  }
  say(`${wallet.name} was removed.`);
  reload();
}

export function editBroker(broker, reload) {
  const fields = [
    broker ? null : { name: "name", label: "Name", required: true, max_length: 64 },
    { name: "total_holding_usd", label: "Held there", kind: "number", min: 0, unit: "$", value: broker?.total_holding_usd },
    { name: "web_address", label: "Web address", value: broker?.web_address, placeholder: "https://", check: (text) => (text && !/^https?:\/\//.test(text) ? "starts with https:// or http://" : undefined) },
  ].filter(Boolean);
  const send = async (values) => {
    const name = broker?.name ?? values.name;
    const mask = ["total_holding_usd", "web_address"];
    await (broker ? patch(`/v1/brokers/${encodeURIComponent(name)}`, { ...values, name }, mask) : post("/v1/brokers", values));
    say(`${name}: ${broker ? "changed" : "added"}.`);
    await reload();
    dialog.close();
  };
  const dialog = guarded(broker ? `Broker ${broker.name}` : "Money held elsewhere", h("p", {}, "Counted with the balances; nothing is read from there."), { fields, label: "Broker", act: { label: broker ? "Save" : "Add", send } });
}

export async function dropBroker(broker, reload) {
  if (!(await confirm({ title: `Remove ${broker.name}?`, text: "What is held there is counted no more.", act: "Remove", danger: true }))) return;
  await remove(`/v1/brokers/${encodeURIComponent(broker.name)}`);
  reload();
}

export async function exportWallets(kind) {
  const { content } = await get(`/v1/wallets:export?format=${FORMATS[kind]}`);
  save(`sonic-wallets.${kind}`, fromBase64(content), kind === "csv" ? "text/csv" : "application/json");
}

/** Read, looked through for secrets, tried, and only then taken. */
export async function importWallets(reload) {
  const file = await pick(".csv,.json,text/csv,application/json");
  if (!file) return;
  if (looksSecret(file.text)) return warn(`${file.name} was not sent. ${REFUSED}`);
  const body = { format: /^\s*[[{]/.test(file.text) ? FORMATS.json : FORMATS.csv, content: base64(file.text) };
  const would = await post("/v1/wallets:import", { ...body, dry_run: true });
  const refusals = (would.refusals ?? []).slice(0, 8).map((one) => h("li", {}, `line ${one.line}: ${one.field} ${one.message || word(one.reason)}`));
  const text = [`${file.name}: ${would.created_count} new, ${would.updated_count} changed, ${would.refused_count} refused.`, refusals.length ? h("ul", { class: "lines" }, refusals) : null];
  if (!(await confirm({ title: "Import wallets?", text, act: "Import" }))) return;
  const done = await post("/v1/wallets:import", body);
  say(`${done.created_count} wallets were added, ${done.updated_count} changed, ${done.refused_count} refused.`);
  reload();
}
