// Through which channels a level of a threshold is told.

import { h } from "/web/dom.js";
import { open } from "/web/dialog.js";
import { form } from "/web/form.js";
import { LIMITS, nameOf } from "/web/thresholds/words.js";
import { say } from "/web/toast.js";

export function toldBy(threshold) {
  const own = LIMITS.filter((name) => (threshold[`${name}_channels`] ?? []).length);
  if (!own.length) return "Channels: by level";
  return `Channels: ${own.map((name) => `${name} ${threshold[`${name}_channels`].join(", ")}`).join("; ")}`;
}

/** `change(values)` stores them. */
export function editChannels(threshold, names, change) {
  const fields = LIMITS.map((name) => {
    const chosen = threshold[`${name}_channels`] ?? [];
    return { name: `${name}_channels`, label: name.toUpperCase(), kind: "checks", options: [...new Set([...names, ...chosen])], value: chosen };
  });
  const made = form({
    fields,
    label: "Channels",
    cancel: () => dialog.close(),
    act: {
      label: "Save",
      send: async (values) => {
        const after = await change(values);
        say(`${nameOf(threshold)}: ${toldBy(after)}.`);
        dialog.close();
      },
    },
  });
  const words = h("p", {}, "With none chosen a level goes through the channels of the level, see ", h("a", { href: "/deliveries" }, "Deliveries"), ". HIGH is told whatever the quiet hours.");
  const dialog = open(`${nameOf(threshold)} ${threshold.asset ?? ""}: told through`, [words, made.node]);
}
