// All positions, those too that are not held any more.

import { get } from "/web/api.js";
import { h } from "/web/dom.js";
import { addPosition } from "/web/position_form.js";
import { heldWords, positionsTable } from "/web/positions.js";
import { panel } from "/web/states.js";
import { keepTable } from "/web/table.js";
import { busy } from "/web/toast.js";

export const title = "Positions";

export function mount(root, { query }) {
  const add = h("button", { type: "button", class: "second", on: { click: (event) => busy(event.currentTarget, () => addPosition(() => kept.refresh())) } }, "Add position");
  const part = panel("Positions", { wide: true, rows: 12, id: "positions-panel", tools: [add] });
  const levels = new Map();
  const grid = positionsTable({ address: query, pageSize: 100, withStatus: true, levels });
  const read = grid.fetch;
  grid.fetch = async () => {
    const [page, totals] = await Promise.all([read(), get("/v1/totals")]);
    part.setCount(heldWords(totals, page));
    grid.forget();
    return page;
  };
  root.append(h("h1", { class: "hidden-title" }, title), part.node);
  const kept = keepTable(part, grid);
  return kept.stop;
}
