// What the browser shows when the page is not looked at: title, icon, and on wish a notification and a tone.

import { byId } from "/web/dom.js";
import { listen } from "/web/live.js";
import { warn } from "/web/toast.js";

const RANK = { UNKNOWN: 0, NORMAL: 1, LOW: 2, MEDIUM: 3, HIGH: 4 };
const ICONS = { UNKNOWN: "icon-unknown", NORMAL: "icon", LOW: "icon-low", MEDIUM: "icon-medium", HIGH: "icon-high" };

let page = "";
let level = "NORMAL";
let first = true;
let hush = null;
let audio = null;

export function setPage(title) {
  page = title;
  write();
}

/** `text` is what the notification says when the level has risen to MEDIUM or HIGH. */
export function setLevel(now, text) {
  if (now === level) return;
  const risen = !first && RANK[now] > RANK[level] && RANK[now] >= RANK.MEDIUM;
  first = false;
  level = now;
  write();
  if (risen && wished()) alarm(text);
}

function write() {
  const head = { UNKNOWN: "? · ", LOW: "", NORMAL: "" }[level] ?? `${level} · `;
  document.title = head + (page ? `${page} · Sonic` : "Sonic");
  document.querySelector('link[rel="icon"]').href = `/web/${ICONS[level]}.svg`;
}

const wished = () => localStorage.getItem("alarm") === "on";

/** The button by which a person asks for it; the choice is kept in this browser. */
export function keepAlarm() {
  const button = byId("alarm");
  button.addEventListener("click", async () => {
    if (wished()) return choose("off");
    choose("on");
    tone(0.05);
    if (globalThis.Notification && Notification.permission !== "granted" && (await Notification.requestPermission()) !== "granted") warn("The browser shows no notifications of this page: only the tone is left.");
  });
  choose(wished() ? "on" : "off");
}

function choose(way) {
  localStorage.setItem("alarm", way);
  const on = way === "on";
  byId("alarm").setAttribute("aria-pressed", String(on));
  byId("alarm").title = on ? "Tone and notification are on in this browser" : "Tone and notification are off in this browser";
  hush?.();
  // Who listens is taken to have heard: so only when it will be heard.
  hush = on ? listen("/v1/sounds:watch", (sound) => alarm(sound.subject), { hidden: true }) : null;
}

function alarm(text) {
  tone(0.25);
  if (globalThis.Notification?.permission === "granted") new Notification(`Sonic: ${level}`, { body: text, tag: "sonic" });
}

/** Two tones; a browser that was not touched yet may refuse them. */
function tone(loudness) {
  audio ??= new AudioContext();
  audio.resume();
  [0, 0.28].forEach((at, place) => {
    const [voice, gain] = [audio.createOscillator(), audio.createGain()];
    voice.frequency.value = place ? 660 : 880;
    gain.gain.setValueAtTime(loudness, audio.currentTime + at);
    gain.gain.exponentialRampToValueAtTime(0.001, audio.currentTime + at + 0.25);
    voice.connect(gain).connect(audio.destination);
    voice.start(audio.currentTime + at);
    voice.stop(audio.currentTime + at + 0.26);
  });
}
