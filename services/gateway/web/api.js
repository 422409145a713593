// Talks to the gateway this page came from. A failure keeps its reason, and names the field and the fix.

import { clockOf } from "/web/format.js";

const LIMIT_MS = 10000;
// A step may wait for slow providers.
const CHANGE_LIMIT_MS = 65000;

/** What was not done: `fields` is {name: what is wrong with it}; `status` is 0 when nobody answered. */
export class Failure extends Error {
  constructor(message, { reason = "", status = 0, fields = {}, fix = "" } = {}) {
    super(message);
    this.reason = reason;
    this.status = status;
    this.fields = fields;
    this.fix = fix;
  }

  /** Somebody else changed it since it was read. */
  get isConflict() {
    return this.reason === "ETAG_MISMATCH" || this.status === 412;
  }

  /** Nobody answered, or a service behind the gateway did not. */
  get isDown() {
    return this.status === 0 || this.status === 503 || this.status === 504;
  }
}

const underway = new Map();

/** Whoever asks for the same while it is under way gets the same answer, unless something was changed here meanwhile. */
export function get(path) {
  if (!underway.has(path)) {
    const answer = ask("GET", path, undefined, LIMIT_MS).finally(() => underway.get(path) === answer && underway.delete(path));
    underway.set(path, answer);
  }
  return underway.get(path);
}
// An answer that was asked for before a change may be older than it.
const change = (...asked) => ask(...asked).finally(() => underway.clear());
export const post = (path, body = {}, limitMs = CHANGE_LIMIT_MS) => change("POST", path, body, limitMs);
/** `body` with its `etag`, where it has one, is refused when somebody else was faster. */
export const patch = (path, body, mask) => change("PATCH", mask ? `${path}?update_mask=${encodeURIComponent(mask.join(","))}` : path, body, CHANGE_LIMIT_MS);
export const put = (path, body) => change("PUT", path, body, CHANGE_LIMIT_MS);
export const remove = (path) => change("DELETE", path, undefined, CHANGE_LIMIT_MS);

async function ask(method, path, body, limitMs) {
  const headers = { Accept: "application/json" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const settings = { method, headers, signal: AbortSignal.timeout(limitMs) };
  if (body !== undefined) settings.body = JSON.stringify(body);
  const response = await sent(path, settings);
  clockOf(response);
  return answer(response);
}

async function sent(path, settings) {
  try {
    const response = await fetch(path, settings);
    if (response.status === 401) toSignIn();
    return response;
  } catch (problem) {
    throw new Failure(problem.name === "TimeoutError" ? "no answer in time" : "Sonic does not answer");
  }
}

/** State of every service; a system that is not well is an answer too. */
export async function health() {
  const response = await sent("/healthz", { signal: AbortSignal.timeout(LIMIT_MS) });
  return (await response.json()).services;
}

async function answer(response) {
  // Half an answer is none: its figures would be zeros.
  const body = await response.json().catch(() => null);
  if (response.ok && body !== null) return body;
  if (response.ok) throw new Failure("the answer was cut off");
  throw failure(body ?? {}, `HTTP ${response.status}`, response.status);
}

function failure(body, otherwise, status = 0) {
  const told = body.error ?? {};
  const details = told.details ?? [];
  const info = details.find((one) => one.reason) ?? {};
  const fields = {};
  for (const detail of details) for (const one of detail.field_violations ?? []) fields[one.field] = one.description;
  return new Failure(told.message ?? otherwise, { reason: info.reason, status: status || told.code, fields, fix: info.metadata?.fix });
}

/** POSTs and calls `each` with every message of the answer's event stream; resolves at its end. */
export async function follow(path, body, each) {
  const response = await sent(path, {
    method: "POST",
    headers: { "Content-Type": "application/json", Accept: "text/event-stream" },
    body: JSON.stringify(body),
  });
  if (!response.ok) return answer(response);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return undefined;
    const events = (rest + value).split("\n\n");
    rest = events.pop();
    for (const event of events) take(event, each);
  }
}

function take(event, each) {
  const lines = event.split("\n");
  const text = lines.filter((line) => line.startsWith("data: ")).map((line) => line.slice(6)).join("\n");
  if (!text) return;
  if (lines.includes("event: error")) throw failure(JSON.parse(text), "the stream failed");
  each(JSON.parse(text));
}

/** Whoever is not signed in, or not any more, comes back to where they were. */
export function toSignIn() {
  location.assign(`/sign-in?next=${encodeURIComponent(location.pathname + location.search)}`);
}
