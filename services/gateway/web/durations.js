// Spans of time as people write them: 90s, 15min, 1h30m, 2d.

import { seconds } from "/web/format.js";

const UNITS = { s: 1, sec: 1, m: 60, min: 60, h: 3600, d: 86400 };
const PART = /(\d+(?:\.\d+)?)\s*(sec|min|s|m|h|d)/g;

/** Seconds of a text like "1h30m", a bare number is seconds; undefined for nothing, NaN for what is none. */
export function parseSpan(text) {
  const bare = text.trim().toLowerCase();
  if (bare === "") return undefined;
  if (/^\d+(\.\d+)?$/.test(bare)) return Number(bare);
  if (bare.replace(PART, "").trim() !== "") return NaN;
  return [...bare.matchAll(PART)].reduce((sum, [, count, unit]) => sum + Number(count) * UNITS[unit], 0);
}

/** Of a protobuf duration ("90s"): "1min30s", as parseSpan takes it. */
export function writeSpan(duration) {
  if (!duration) return "";
  let left = Math.round(Number.parseFloat(duration));
  const parts = [];
  for (const [unit, size] of [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]]) {
    const count = Math.floor(left / size);
    if (count) parts.push(`${count}${unit}`);
    left -= count * size;
  }
  return parts.join("") || "0s";
}

export const toDuration = (count) => (count === undefined ? undefined : `${count}s`);

/** A duration for reading: "5 min"; nothing for none. */
export const spanWords = (duration) => (duration ? seconds(Number.parseFloat(duration)) : "");

/** What is wrong with a span of a form, or nothing; bounds in seconds. */
export function checkSpan(text, { least = 0, most = Infinity } = {}) {
  const count = parseSpan(text ?? "");
  if (count === undefined) return undefined;
  if (Number.isNaN(count)) return "is no span of time: 90s, 15min, 1h30m, 2d";
  if (count < least) return `is at least ${seconds(least)}`;
  if (count > most) return `is at most ${seconds(most)}`;
  return undefined;
}
