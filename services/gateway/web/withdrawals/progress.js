// How far what was asked for is, and how it ended.

import { h } from "/web/dom.js";

/** {node, say(text), ofWallets(message of a synchronisation)} */
export function progress() {
  const text = h("b", { id: "asked-text" });
  const detail = h("span", { class: "why" });
  const bar = h("progress", { id: "asked-bar", "aria-label": "Wallets read", max: 1, value: 0 });
  const node = h("section", { id: "asked", class: "progress wide", "aria-live": "polite", "aria-label": "What was asked for", hidden: true }, h("div", { class: "line wraps" }, text, detail), bar);

  function say(words, more = "", done = 0, all = 0) {
    node.hidden = false;
    text.textContent = words;
    detail.textContent = more;
    bar.hidden = all === 0;
    bar.max = Math.max(1, all);
    bar.value = done;
  }

  function ofWallets(told) {
    const failed = told.done && told.errors.length ? ` Not read: ${told.errors.join("; ")}` : "";
    const words = told.demo
      ? `Simulated supply: no venue is asked, and all ${told.seen_count} flows of the simulation are here.`
      : told.done
        ? `Synchronised: ${told.new_count} new flows.${failed}`
        : `Wallet ${Math.min(told.wallet_count + 1, told.wallets_total)} of ${told.wallets_total}`;
    const others = told.unresolved_count ? `, ${told.unresolved_count} of an unknown market` : "";
    say(words, `${told.seen_count} transactions seen in ${told.window_count} windows${others}`, told.wallet_count, told.wallets_total);
  }

  return { node, say, ofWallets };
}
