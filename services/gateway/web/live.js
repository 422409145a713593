// Watch streams of the server for as long as the page is looked at: opened again after a loss, later each time, and said.

const FIRST_WAIT_MS = 1000;
const LONGEST_WAIT_MS = 30000;

const streams = new Set();
let hear = () => {};

/** `heard` is told the streams that are lost: [{path, since, again}], the moments as Date; an empty list when all is well. */
export function onTrouble(heard) {
  hear = heard;
}

/**
 * Calls `each` with every message of GET `path`, first the present state. Returns what ends it.
 * A tab that is not looked at holds no stream, but for one asked for with `hidden`: a browser has six connections for
 * all of its tabs.
 */
export function listen(path, each, { hidden = false } = {}) {
  const stream = { path, each, hidden, source: null, timer: 0, wait: FIRST_WAIT_MS, since: null, again: null };
  streams.add(stream);
  if (!document.hidden || hidden) open(stream);
  return () => {
    streams.delete(stream);
    close(stream);
    tell();
  };
}

function open(stream) {
  close(stream);
  const source = new EventSource(stream.path);
  stream.source = source;
  source.onmessage = (event) => {
    well(stream);
    stream.each(JSON.parse(event.data));
  };
  source.onopen = () => well(stream);
  // A stream that ends, or was refused: the browser would try at a fixed pace, or not at all.
  source.onerror = () => {
    close(stream);
    stream.since ??= new Date();
    stream.again = new Date(Date.now() + stream.wait);
    stream.timer = setTimeout(open, stream.wait, stream);
    stream.wait = Math.min(LONGEST_WAIT_MS, stream.wait * 2);
    tell();
  };
}

function well(stream) {
  if (stream.since === null) return;
  stream.since = null;
  stream.wait = FIRST_WAIT_MS;
  tell();
}

function close(stream) {
  clearTimeout(stream.timer);
  stream.source?.close();
  stream.source = null;
}

const tell = () => hear([...streams].filter((stream) => stream.since).map(({ path, since, again }) => ({ path, since, again })));

document.addEventListener("visibilitychange", () => {
  for (const stream of streams) if (!stream.hidden) document.hidden ? close(stream) : open(stream);
});
