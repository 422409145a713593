// All positions, those too that are not held any more.

import { get } from "/web/api.js";
import { h } from "/web/dom.js";
import { heldWords, positionsTable } from "/web/positions.js";
import { panel } from "/web/states.js";
import { keepTable } from "/web/table.js";

export const title = "Positions";

export function mount(root, { query }) {
  const part = panel("Positions", { wide: true, rows: 12, id: "positions-panel" });
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
  return keepTable(part, grid).stop;
}
