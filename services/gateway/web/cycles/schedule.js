// When cycles run by themselves.

import { age } from "/web/ages.js";
import { get, patch } from "/web/api.js";
import { h, pill, show } from "/web/dom.js";
import { open } from "/web/dialog.js";
import { checkSpan, parseSpan, spanWords, toDuration, writeSpan } from "/web/durations.js";
import { form } from "/web/form.js";
import { keep } from "/web/states.js";
import { busy, say, warn } from "/web/toast.js";

export function schedule(part) {
  let known = {};
  const pause = h("button", { type: "button", class: "second small", on: { click: () => busy(pause, () => set({ enabled: !known.enabled }, known.enabled ? "Cycles run only when somebody asks for one." : "Cycles run by themselves again.")) } });
  const edit = h("button", { type: "button", class: "second small", on: { click: () => change() } }, "Interval");
  part.head.append(h("div", { class: "tools" }, edit, pause));

  async function set(values, words) {
    const after = await patch("/v1/schedule", { ...values, etag: known.etag }, Object.keys(values));
    if (values.enabled && !after.enabled) warn("Still paused: Sonic was started with SONIC_SCHEDULE=0. Start it without, and cycles run by themselves again.");
    else say(words);
    await kept.refresh();
  }

  function change() {
    const send = async ({ interval }) => {
      await set({ interval: toDuration(parseSpan(interval)) }, `A cycle every ${spanWords(toDuration(parseSpan(interval)))}.`);
      dialog.close();
    };
    const again = async () => {
      dialog.close();
      await kept.refresh();
      change();
    };
    const made = form({ label: "Schedule", fields: [{ name: "interval", label: "A cycle every", value: writeSpan(known.interval), required: true, check: (text) => checkSpan(text, { least: 5, most: 86400 }), help: "5s to 1d" }], cancel: () => dialog.close(), act: { label: "Save", send }, conflict: again });
    const dialog = open("Schedule", made.node);
  }

  function display(answer) {
    known = answer;
    pause.textContent = answer.enabled ? "Pause" : "Resume";
    const fact = (label, ...value) => h("div", { class: "fact" }, h("small", {}, label), h("span", {}, value));
    show(part.body, h("div", { class: "facts" }, [
      fact("runs", answer.enabled ? pill("BY ITSELF", "run-SUCCESS") : pill("PAUSED", "state-old")),
      fact("every", spanWords(answer.interval)),
      fact("next", answer.next_time ? age(answer.next_time) : "not by itself"),
      fact("missed slots", String(answer.missed_count ?? 0)),
      fact("watched from outside", answer.heartbeat_configured ? "yes" : h("span", { class: "moved" }, "no: HEARTBEAT_URL is not set")),
    ]));
  }
  const kept = keep(part, () => get("/v1/schedule"), display);
  return kept;
}
