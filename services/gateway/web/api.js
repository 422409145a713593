// Talks to the gateway this page came from. A failure keeps its reason.

import { clockOf } from "/web/format.js";

const LIMIT_MS = 10000;

export class Failure extends Error {
  constructor(message, reason) {
    super(message);
    this.reason = reason;
  }
}

export async function get(path) {
  const response = await fetch(path, { signal: AbortSignal.timeout(LIMIT_MS), headers: { Accept: "application/json" } });
  clockOf(response);
  return answer(response);
}

/** Does something: POSTs a JSON body, resolves with the answer's. */
export async function post(path, body, limitMs = LIMIT_MS) {
  const response = await fetch(path, {
    method: "POST",
    signal: AbortSignal.timeout(limitMs),
    headers: { "Content-Type": "application/json", Accept: "application/json" },
    body: JSON.stringify(body),
  });
  return answer(response);
}

/** State of every service; a system that is not well is an answer too. */
export async function health() {
  const response = await fetch("/healthz", { signal: AbortSignal.timeout(LIMIT_MS) });
  return (await response.json()).services;
}

async function answer(response) {
  const body = await response.json().catch(() => ({}));
  if (response.ok) return body;
  throw failure(body, `HTTP ${response.status}`);
}

function failure(body, otherwise) {
  const told = body.error ?? {};
  return new Failure(told.message ?? otherwise, told.details?.[0]?.reason ?? "");
}

/** POSTs and calls `each` with every message of the answer's event stream; resolves at its end. */
export async function follow(path, body, each) {
  const response = await fetch(path, {
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

/** Listens for as long as it is not closed; a stream that ends is opened again. */
export function listen(path, each) {
  let source = null;
  let again = 0;
  const open = () => {
    source = new EventSource(path);
    source.onmessage = (event) => each(JSON.parse(event.data));
    source.onerror = () => {
      if (source.readyState !== EventSource.CLOSED) return;
      clearTimeout(again);
      again = setTimeout(open, 5000);
    };
  };
  open();
  return () => {
    clearTimeout(again);
    source.close();
  };
}
