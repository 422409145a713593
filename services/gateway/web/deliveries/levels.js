// Which channels each level takes, when a threshold names none of its own.

import { get, patch } from "/web/api.js";
import { h, pill, show } from "/web/dom.js";
import { open } from "/web/dialog.js";
import { form } from "/web/form.js";
import { code, word } from "/web/format.js";
import { keep } from "/web/states.js";
import { busy, say } from "/web/toast.js";

export function levels(part) {
  let map = { routes: [] };
  const edit = h("button", { type: "button", class: "second small", on: { click: () => change(map, kept.refresh) } }, "Edit");
  part.head.append(h("div", { class: "tools" }, edit));
  const display = (answer) => {
    map = answer;
    show(part.body, h("div", { class: "list" }, answer.routes.map(route)));
  };
  const kept = keep(part, () => get("/v1/levels"), display);
  return kept;
}

function route(one) {
  const level = code(one.level, "LEVEL_");
  const source = one.source === "SETTING_SOURCE_ENVIRONMENT" ? h("span", { class: "flag" }, "set by the environment") : one.source === "SETTING_SOURCE_STORED" ? h("span", { class: "flag soft" }, "changed") : null;
  return h("div", { class: "item" }, h("div", { class: "line wraps" }, pill(level, `level-${level}`), h("span", {}, (one.channels ?? []).join(", ") || "nobody"), source));
}

async function change(map, reload) {
  const { channels } = await get("/v1/channels");
  const names = channels.map((one) => one.name);
  const fixed = (one) => one.source === "SETTING_SOURCE_ENVIRONMENT";
  const fields = map.routes.map((one) => ({ name: one.level, label: word(one.level, "LEVEL_").toUpperCase(), kind: "checks", options: [...new Set([...names, ...(one.channels ?? [])])], value: one.channels, help: fixed(one) ? "the environment decides; this waits behind it" : undefined }));
  const made = form({
    fields,
    label: "Channels of a level",
    cancel: () => dialog.close(),
    act: {
      label: "Save",
      send: async (values) => {
        // A level that is left out goes back to its default: those nobody touched are not made ours.
        const same = (one) => JSON.stringify([...values[one.level]].sort()) === JSON.stringify([...(one.channels ?? [])].sort());
        const routes = map.routes.filter((one) => !same(one) || one.source === "SETTING_SOURCE_STORED").map((one) => ({ level: one.level, channels: same(one) ? one.channels : values[one.level] }));
        await patch("/v1/levels", { routes, etag: map.etag });
        say("Saved: messages from now on go these ways.");
        await reload();
        dialog.close();
      },
    },
    conflict: async () => {
      dialog.close();
      change(await get("/v1/levels"), reload);
    },
  });
  const reset = async () => {
    await patch("/v1/levels", { routes: [], etag: map.etag });
    say("The levels take their channels as at first.");
    await reload();
    dialog.close();
  };
  const back = h("button", { type: "button", class: "link", on: { click: () => busy(back, reset) } }, "All back to the default");
  const words = h("p", {}, "News never rings: of these it takes no SMS, call or sound. A level whose channels are all unset uses every channel that is set, and says so.");
  const dialog = open("Channels of a level", [words, made.node, back]);
}
