// Versions of settings: what each change was, what going back would change, and the way back.

import { age } from "/web/ages.js";
import { get, post } from "/web/api.js";
import { confirm, open } from "/web/dialog.js";
import { empty, h } from "/web/dom.js";
import { busy, say } from "/web/toast.js";

const SHOWN = 20;

/** The versions at a path ("/v1/thresholdVersions") of what `plural` names, the newest first; `reload` is called when another one holds again. */
export async function versions(root, plural, reload) {
  const { versions: rows } = await get(`${root}?page_size=50`);
  const list = rows.length ? h("ul", { class: "versions" }, rows.map((one, place) => item(root, one, place, rows[0].number, back))) : empty("Nothing was changed yet.");
  const dialog = open(`Versions of the ${plural}`, [h("p", {}, "Every change keeps one. To go back is a version too."), list]);

  async function back(version, newest) {
    const path = `${root}/${version.number}:restore`;
    const { changes } = await post(path, { dry_run: true, last_number: newest });
    if (!changes.length) return say(`Nothing to change: the ${plural} are as in version ${version.number}.`);
    const text = `${count(changes)}: ${changes.slice(0, SHOWN).map(words).join("; ")}${changes.length > SHOWN ? "; ..." : ""}`;
    if (!(await confirm({ title: `Back to version ${version.number}?`, text, act: "Restore" }))) return;
    await post(path, { last_number: newest });
    say(`The ${plural} are those of version ${version.number}.`);
    await reload();
    dialog.close();
  }
}

function item(root, version, place, newest, back) {
  const differs = h("p", { class: "differs", hidden: true });
  const tool = (text, act) => h("button", { type: "button", class: "second", on: { click: (event) => busy(event.target, act) } }, text);
  const compare = async () => {
    const { changes } = await get(`${root}/${version.number}:compare`);
    differs.textContent = changes.length ? `To now: ${changes.map(words).join("; ")}` : "To now nothing differs.";
    differs.hidden = false;
  };
  const what = version.changes.length ? version.changes.slice(0, SHOWN).map(words).join("; ") : version.reason === "FIRST" ? "what there was before the first change" : "nothing that is shown; or what it was before is not kept";
  return h(
    "li",
    { data: { version: version.number } },
    h("strong", {}, `${version.number} `),
    age(version.saved_time, { after: ` ${[version.reason.toLowerCase(), version.actor && `by ${version.actor}`].filter(Boolean).join(" ")}` }),
    h("p", {}, what),
    differs,
    h("div", { class: "actions" }, tool("Compare with now", compare), place ? tool("Restore", () => back(version, newest)) : null),
  );
}

const count = (changes) => `${changes.length} value${changes.length === 1 ? "" : "s"} would change`;
const words = ({ setting_id: id, field, before, after }) => `${id} ${field}: ${before || "none"} → ${after || "none"}`;
