// A threshold of one asset, beside the one for every asset; thresholds as a file.

import { get, post } from "/web/api.js";
import { h } from "/web/dom.js";
import { confirm, open } from "/web/dialog.js";
import { pick, save } from "/web/files.js";
import { form } from "/web/form.js";
import { word } from "/web/format.js";
import { LIMITS, nameOf, problems } from "/web/thresholds/words.js";
import { say } from "/web/toast.js";

/** `present`: the thresholds there are; `assets`: symbols with a price, and those that are held. */
export function add(present, assets, reload) {
  const bases = present.filter((one) => !one.asset && one.alert_class === "ALERT_CLASS_POSITION");
  const prices = ["ABOVE", "BELOW"].map((condition) => [`PRICE_THRESHOLD ${condition}`, `Price, ${word(condition)}`]);
  const options = [...bases.map((one) => [one.id, nameOf(one)]), ...prices];
  const base = (key) => bases.find((one) => one.id === key) ?? { type: "ALERT_TYPE_PRICE_THRESHOLD", condition: `CONDITION_${key.split(" ")[1]}`, lowest_limit: 0 };
  const check = (name) => (_, all) => problems(base(all.base), all)[name];
  const made = form({
    label: "Threshold of one asset",
    fields: [
      { name: "base", label: "Metric", kind: "select", options },
      { name: "asset", label: "Asset", kind: assets.length ? "select" : "text", options: assets, required: true },
      ...LIMITS.map((name) => ({ name, label: name, kind: "number", check: check(name) })),
    ],
    cancel: () => dialog.close(),
    act: {
      label: "Add",
      send: async ({ base: key, asset, ...limits }) => {
        const { type, condition } = base(key);
        const after = await post("/v1/thresholds", { type, condition, asset, ...limits, enabled: true });
        say(`${nameOf(after)} of ${after.asset} has limits of its own.`);
        await reload();
        dialog.close();
      },
    },
  });
  const dialog = open("Limits for one asset", [h("p", {}, "They are judged instead of those for every asset."), made.node]);
}

export async function exportAll() {
  const { json } = await get("/v1/thresholds:export");
  save("sonic-thresholds.json", json);
}

/** All or nothing, after it was said what it would change. */
export async function importAll(reload) {
  const file = await pick("application/json,.json");
  if (!file) return;
  const would = await post("/v1/thresholds:import", { json: file.text, dry_run: true });
  const [made, changed, same] = [would.created_count, would.changed_count, would.unchanged_count].map(Number);
  if (!made && !changed) return say(`${file.name}: nothing to change, all ${same} are so already.`);
  const text = `${file.name}: ${changed} would change, ${made} are new, ${same} stay. Those it does not name stay as they are.`;
  if (!(await confirm({ title: "Import thresholds?", text, act: "Import" }))) return;
  await post("/v1/thresholds:import", { json: file.text });
  say(`${changed + made} thresholds were imported. The next cycle judges by them.`);
  reload();
}
