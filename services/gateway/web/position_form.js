// The forms by which a position is entered by hand, edited and removed.

import { get, patch, post, remove } from "/web/api.js";
import { confirm, open } from "/web/dialog.js";
import { h } from "/web/dom.js";
import { form } from "/web/form.js";
import { code, word } from "/web/format.js";
import { say } from "/web/toast.js";
import { guard } from "/web/wallets/secrets.js";

const SIDES = [["SIDE_LONG", "long: wins when the price rises"], ["SIDE_SHORT", "short: wins when the price falls"]];
const UNKNOWN_SIDE = ["SIDE_UNKNOWN", "not known: it cannot be judged"];
const STATUSES = [["STATUS_ACTIVE", "held"], ["STATUS_INACTIVE", "set aside: not judged"], ["STATUS_CLOSED", "closed"]];
const MANUAL = "manual";

const money = (name, label, value, more) => ({ name, label, kind: "number", unit: "$", above: 0, value, ...more });

/** A liquidation price on the winning side of entry is a slip of the pen. */
function beyondEntry(end, { side, entry_price_usd: entry }) {
  if (end === undefined || entry === undefined) return undefined;
  if (side === "SIDE_LONG" && end >= entry) return "of a long it is below the entry price";
  return side === "SIDE_SHORT" && end <= entry ? "of a short it is above the entry price" : undefined;
}

const terms = (position) => [
  { name: "side", kind: "select", options: position.side === UNKNOWN_SIDE[0] ? [...SIDES, UNKNOWN_SIDE] : SIDES, value: position.side },
  money("entry_price_usd", "Entry price", position.entry_price_usd, { required: true }),
  money("liquidation_price_usd", "Liquidation price", position.liquidation_price_usd, { help: "as the venue states it; empty: not known, and cannot be judged", check: beyondEntry }),
  money("mark_price_usd", "Mark price", position.mark_price_usd, { help: "empty: the market price stands for it" }),
  money("size_usd", "Size at entry", position.size_usd, { required: true, help: "in USD, not in coins" }),
  money("collateral_usd", "Collateral", position.collateral_usd, { required: true, above: undefined, min: 0 }),
  { name: "note", kind: "area", value: position.note, max_length: 2000 },
];

function ask(title, words, settings) {
  const made = form({ ...settings, cancel: () => dialog.close() });
  guard(made.node, made.problem);
  const dialog = open(title, [h("p", {}, words), made.node]);
  return dialog;
}

/** The same request again, after an answer that was lost, makes no second position. */
const requestId = () => `page-${[...crypto.getRandomValues(new Uint32Array(4))].map((part) => part.toString(36)).join("")}`;

/** Opens the form of a position that no venue tells of; `refresh` is called when it is made. */
export async function addPosition(refresh) {
  const request = requestId();
  // Without their list there is still the one that every position by hand may stand in.
  const { wallets } = await get("/v1/wallets?page_size=500").catch(() => ({ wallets: [] }));
  const places = [...new Set([MANUAL, ...wallets.filter(({ chain }) => chain === "CHAIN_MANUAL").map(({ name }) => name)])];
  const fields = [
    { name: "asset", label: "Asset", required: true, max_length: 32, placeholder: "SOL" },
    ...terms({}).slice(0, -1),
    { name: "wallet", label: "Wallet", kind: "select", options: places, value: MANUAL },
    ...terms({}).slice(-1),
  ];
  const send = async (values) => {
    const made = await post(`/v1/positions?request_id=${request}`, values);
    say(`${made.asset} ${word(made.side, "SIDE_")} is added; the next cycle judges it.`);
    await refresh();
    dialog.close();
  };
  const dialog = ask("Add a position", "One that no venue tells of, entered by hand. Only figures: nothing is traded.", { fields, label: "New position", act: { label: "Add position", send } });
}

/** Opens the form of a position. */
export function editPosition(position, refresh) {
  const known = STATUSES.some(([value]) => value === position.status);
  const statuses = known ? STATUSES : [[position.status, word(position.status, "STATUS_")], ...STATUSES];
  const fields = terms(position);
  fields.splice(-1, 0, { name: "status", kind: "select", options: statuses, value: position.status });
  const was = Object.fromEntries(fields.map(({ name }) => [name, position[name]]));
  const send = async (values) => {
    const mask = Object.keys(was).filter((name) => (values[name] ?? "") !== (was[name] ?? ""));
    if (mask.length) {
      await patch(`/v1/positions/${encodeURIComponent(position.id)}`, Object.fromEntries(mask.map((name) => [name, values[name]])), mask);
      say("The position is changed.");
      await refresh();
    }
    dialog.close();
  };
  const words = position.venue === MANUAL ? "Entered by hand: what you write here holds." : `What ${position.venue} answers next replaces these figures; the note stays.`;
  const dialog = ask(`${position.asset} ${code(position.side, "SIDE_").toLowerCase()} in ${position.wallet}`, words, { fields, label: "Edit position", act: { label: "Save", send } });
}

/** Asks, and removes a position; `done` is called when it is gone. */
export async function dropPosition(position, done) {
  const back = position.venue === MANUAL ? "" : ` ${position.venue} still shows it? Then the next cycle brings it back.`;
  const text = `Its alerts end; the ledger keeps its rows. Nothing is traded.${back}`;
  if (!(await confirm({ title: `Remove ${position.asset} in ${position.wallet}?`, text, act: "Remove", danger: true }))) return;
  await remove(`/v1/positions/${encodeURIComponent(position.id)}`);
  say("The position is removed.");
  await done();
}
