// What limits would raise now, by the last readings: asked while somebody types.

import { post } from "/web/api.js";
import { h, pill, show } from "/web/dom.js";
import { code, present, reading } from "/web/format.js";

const PAUSE_MS = 250;
const NAMED = 4;

/** {ask(threshold, limits), clear()}: writes into `place`; only the last question is answered. */
export function previewer(place) {
  let timer = 0;
  let asked = 0;
  const clear = () => {
    clearTimeout(timer);
    asked += 1;
    show(place);
  };
  const ask = (threshold, limits) => {
    clearTimeout(timer);
    const mine = ++asked;
    timer = setTimeout(async () => {
      const { id, type, condition, asset } = threshold;
      try {
        const found = await post("/v1/thresholds:preview", { id, type, condition, asset, ...limits });
        if (mine === asked) show(place, words(threshold, found));
      } catch (problem) {
        if (mine === asked) show(place, h("span", { class: "trouble" }, `No preview: ${problem.message}`));
      }
    }, PAUSE_MS);
  };
  return { ask, clear };
}

function words(threshold, found) {
  const [all, raised, unread] = [found.alert_count, found.raised_count, found.unknown_count].map(Number);
  if (!all) return [h("b", {}, "Would judge nothing now"), ": no position or total of this kind is held."];
  const unknown = unread ? h("span", { class: "absent" }, `${unread} without a reading: not known`) : null;
  if (!raised) return [h("b", {}, "Would fire on nothing now"), ` (${all} judged)`, unknown];
  const named = (found.worst ?? []).slice(0, NAMED).map((one) => subject(threshold, one));
  const rest = raised - named.length;
  return [h("b", {}, `Would fire now on ${raised} of ${all}`), named, rest > 0 ? h("span", { class: "subject" }, `and ${rest} more`) : null, unknown];
}

function subject(threshold, one) {
  const level = code(one.level, "LEVEL_");
  const now = code(one.present_level, "LEVEL_");
  const who = [one.asset, (one.side ?? "").toLowerCase(), one.wallet].filter(Boolean).join(" ") || "portfolio";
  const value = present(one.value) ? reading(threshold.metric, one.value) : "?";
  const link = one.subject ? h("a", { href: `/positions/${encodeURIComponent(one.subject)}` }, who) : who;
  const kind = threshold.opportunity ? "news" : `level-${level}`;
  return h("span", { class: "previewed" }, link, h("span", { class: "n" }, value), pill(level, kind), level === now ? null : h("small", {}, `now ${now}`), one.stale ? pill("STALE", "state-old") : null);
}
