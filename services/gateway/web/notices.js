// What to know before trusting a calm page: nobody is told, nobody outside watches, marks are old, the schedule is off.

import { byId, h, show } from "/web/dom.js";
import { ageSeconds, seconds } from "/web/format.js";

const UNHEARD = new Set(["log", "sound"]);
const OLD_MARK_SECONDS = 120;

const said = { channels: null, totals: null, schedule: null };

const READ = {
  channels: ({ channels }) =>
    channels.some((channel) => channel.configured && channel.enabled && !UNHEARD.has(channel.name))
      ? []
      : ["Nobody is told: no channel is set, alerts go to the log only; sonic doctor says what to set."],
  totals: ({ oldest_mark_time: oldest, position_count: count }) =>
    Number(count) && oldest && ageSeconds(oldest) > OLD_MARK_SECONDS
      ? [`The oldest mark is ${seconds(ageSeconds(oldest))} old: levels that rest on it only hold.`]
      : [],
  schedule: ({ enabled, heartbeat_configured: outside }) => [
    ...(enabled ? [] : ["The schedule is off: cycles run only when somebody asks for one."]),
    ...(outside ? [] : ["HEARTBEAT_URL is not set: nobody outside notices when this machine dies."]),
  ],
};

export function note(topic, answer) {
  said[topic] = answer;
  const lines = Object.entries(READ).flatMap(([name, read]) => (said[name] ? read(said[name]) : []));
  byId("notices").hidden = lines.length === 0;
  show(byId("notices"), lines.map((line) => h("li", {}, line)));
}
