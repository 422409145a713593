// Streams that pull looks forward: open since when, or why not.

import { age } from "/web/ages.js";
import { get } from "/web/api.js";
import { h, pill, show } from "/web/dom.js";
import { code } from "/web/format.js";
import { keep } from "/web/states.js";

const STYLES = { CONNECTED: "run-SUCCESS", RECONNECTING: "state-old" };

export function streams(part) {
  function display({ enabled, streams: found }) {
    if (!enabled) return show(part.body, h("p", { class: "empty" }, "Off: looks are those of the schedule. Start Sonic with SONIC_STREAMS=1, and fills and moves pull the next one forward."));
    if (!found?.length) return show(part.body, h("p", { class: "empty" }, "Nothing was heard of them yet."));
    show(part.body, h("div", { class: "facts" }, found.map(fact)));
  }
  return keep(part, () => get("/v1/streams"), display);
}

function fact(stream) {
  const state = code(stream.state, "STREAM_STATE_");
  const words = [pill(state, STYLES[state] ?? ""), " ", age(stream.since_time), stream.reason ? h("small", {}, ` ${stream.reason}`) : null];
  return h("div", { class: "fact", data: { stream: stream.name } }, h("small", {}, `${stream.name} (${stream.service})`), h("span", {}, words));
}
