// Hedges: positions of one asset that hold one another, between which prices all of them live, and what balances them.

import { get, post } from "/web/api.js";
import { empty, h, keepRows, show } from "/web/dom.js";
import { confirm } from "/web/dialog.js";
import { hedgeCard } from "/web/hedges/card.js";
import { history } from "/web/hedges/history.js";
import { listen } from "/web/live.js";
import { sheet } from "/web/router.js";
import { keep, panel } from "/web/states.js";
import { busy, say } from "/web/toast.js";

export const title = "Hedges";

const OPEN_AT_FIRST = 4;

export function mount(root) {
  sheet("lists");
  sheet("hedges");
  const cards = new Map();
  const tool = (text, act) => h("button", { type: "button", class: "second", on: { click: (event) => busy(event.target, act) } }, text);
  const link = async () => {
    const done = await post("/v1/hedges:link", {});
    say(`${done.hedge_count} hedges among ${done.position_count} positions: ${done.linked_count} new, ${done.unlinked_count} ended.`);
    kept.refresh();
  };
  const unlink = async () => {
    if (!(await confirm({ title: "Unlink every hedge?", text: "No position is touched. The next cycle links again what belongs together, under new ids and without notes.", act: "Unlink all", danger: true }))) return;
    const { unlinked_count: count } = await post("/v1/hedges:unlink", {});
    say(`${count ?? 0} hedges were unlinked.`);
    kept.refresh();
  };
  const part = panel(title, { wide: true, rows: 8, id: "hedges", tools: [tool("Link now", link), tool("Unlink all", unlink)] });
  part.node.classList.add("bare");
  const past = panel("What changed", { wide: true, rows: 3, id: "hedge-history" });
  root.append(h("h1", { class: "hidden-title" }, title), part.node, past.node);
  const list = h("div", { class: "hedge-cards" });
  const none = h("section", { class: "panel" }, empty("No wallet holds both sides of an asset."));

  function display({ hedges, next_page_token: more }) {
    part.setCount(`${hedges.length}${more ? " shown, there are more" : ""}`);
    keepRows(list, cards, hedges, (hedge, place) => hedgeCard(hedge, place < OPEN_AT_FIRST));
    show(part.body, hedges.length ? list : none);
  }

  const kept = keep(part, () => get("/v1/hedges?page_size=100"), display);
  const changes = history(past);
  const close = listen("/v1/hedges:watch", ({ hedges, unlinked_ids: gone }) => {
    const known = hedges.every((one) => cards.has(one.id)) && !(gone ?? []).length;
    known ? hedges.forEach((one) => cards.get(one.id).take(one)) : kept.refresh();
  });
  return () => {
    kept.stop();
    changes.stop();
    close();
  };
}
