// Charts by uPlot: drawn again when the theme or the width changes, read by mouse and by keys: arrows read the points,
// + and - show less and more, 0 all, and what the legend names is hidden by Enter.

import { empty, h, show } from "/web/dom.js";

const HEIGHT = 240;
const TALL = 310;
const PHONE = 560;
const HOUR_SECONDS = 3600;
const ZOOMS = { "+": 0.5, "=": 0.5, "-": 2 };

const drawn = new Map();
const widths = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    const held = drawn.get(target);
    if (held && Math.abs(held.plot.width - widthOf(target)) > 1) held.plot.setSize(sizeOf(target));
  }
});

export const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
const faded = (name, alpha) => `${colour(name)}${alpha}`;

const widthOf = (place) => Math.max(200, place.clientWidth - 16);
function sizeOf(place) {
  const width = widthOf(place);
  return { width, height: place.classList.contains("tall") && width > PHONE ? TALL : HEIGHT };
}

/** As many digits as the step between two ticks needs. */
const ticks = (_, splits, axis, space, step) => {
  const digits = Math.min(8, Math.max(0, -Math.floor(Math.log10(step) + 1e-9)));
  return splits.map((value) => value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits }));
};
const room = (_, labels) => 16 + 6.6 * Math.max(3, ...(labels ?? []).map((label) => label.length));

export function figure(value, digits = 7) {
  return value === null || value === undefined ? "–" : value.toLocaleString("en-US", { maximumSignificantDigits: digits });
}

/**
 * lines: [{label, values, colour, width, dash, fill, points, paths}] over `at` (seconds, or figures called `across` when `time` is false);
 * bands: [[upper, lower, colour]] by number of line; marks: [{at, kind, title}].
 */
export function draw(place, picture) {
  for (const one of drawn.keys()) if (one === place || !one.isConnected) forget(one);
  if (picture === null || picture.at.length === 0) {
    show(place, empty(picture?.none ?? "No samples in this range."));
    return;
  }
  show(place);
  const shown = widened(picture);
  const plot = new window.uPlot(options(place, shown), [shown.at, ...shown.lines.map((line) => line.values)], place);
  drawn.set(place, { plot, picture });
  widths.observe(place);
  place.onkeydown = (event) => read(event, plot);
  // What is pressed stands in it: no picture alone.
  place.setAttribute("role", "group");
  place.setAttribute("aria-keyshortcuts", "ArrowLeft ArrowRight + - 0");
  nameLines(plot);
}

/** The library hides a line by a click on its name; by keys too. */
function nameLines(plot) {
  plot.root.querySelectorAll(".u-legend .u-series").forEach((row, place) => {
    const name = row.querySelector(".u-label");
    if (!place || !name) return;
    const shown = () => name.setAttribute("aria-pressed", String(plot.series[place].show));
    for (const [key, value] of [["role", "button"], ["tabindex", "0"], ["title", "shown or hidden"]]) name.setAttribute(key, value);
    shown();
    // After the library's own listener, which stands on the cell.
    row.addEventListener("click", shown);
    name.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      name.click();
    });
  });
}

/** Around a point that is alone the library would span three years: an hour on each side, and the point is drawn. */
function widened(picture) {
  if (picture.at.length !== 1) return picture;
  const [at] = picture.at;
  const side = picture.time === false ? Math.abs(at) * 0.1 || 1 : HOUR_SECONDS;
  const lines = picture.lines.map((line) => ({ ...line, values: [null, line.values[0], null], points: true }));
  return { ...picture, at: [at - side, at, at + side], lines };
}

/** Ends a chart; one whose place has left the page is ended when the next is drawn. */
function forget(place) {
  drawn.get(place)?.plot.destroy();
  drawn.delete(place);
  widths.unobserve(place);
}

export function redraw() {
  for (const [place, { picture }] of [...drawn]) if (place.isConnected) draw(place, picture);
}
addEventListener("theme", redraw);

function options(place, { lines, bands = [], marks = [], time = true, across = "Residual" }) {
  const axis = { stroke: colour("muted"), grid: { stroke: colour("line"), width: 1 }, ticks: { stroke: colour("line"), width: 1 }, font: "11px ui-sans-serif, system-ui, sans-serif" };
  return {
    ...sizeOf(place),
    scales: { x: { time }, y: { range: (_, low, high) => span(low, high) } },
    cursor: { y: false, points: { size: 7 }, drag: { setScale: true } },
    axes: [{ ...axis, ...(time ? {} : { values: ticks }), space: 64 }, { ...axis, values: ticks, size: room }],
    series: [{ ...(time ? {} : { label: across, value: (_, value) => figure(value, 4) }) }, ...lines.map(series)],
    bands: bands.map(([upper, lower, name]) => ({ series: [upper + 1, lower + 1], fill: faded(name, "2e") })),
    hooks: { draw: [(plot) => mark(plot, marks)] },
  };
}

function span(low, high) {
  if (low === null) return [0, 1];
  const margin = (high - low || Math.abs(high) * 1e-6 || 1) * 0.08;
  return [low < 0 || low - margin >= 0 ? low - margin : 0, high + margin];
}

function series(line) {
  const stroke = colour(line.colour);
  return {
    label: line.label,
    stroke,
    width: line.width ?? 1.6,
    dash: line.dash,
    fill: line.fill ? faded(line.colour, line.fill) : undefined,
    paths: line.paths?.(window.uPlot),
    points: { show: line.points ?? false, size: 6, fill: stroke },
    spanGaps: line.gaps ?? true,
    value: (_, value) => figure(value, line.digits),
  };
}

/** Elements, not ink: they have words, and follow the theme. */
function mark(plot, marks) {
  plot.over.querySelectorAll(".mark").forEach((node) => node.remove());
  const { min, max } = plot.scales.x;
  for (const one of marks) {
    if (one.at < min || one.at > max) continue;
    plot.over.append(h("i", { class: `mark ${one.kind}`, title: one.title, style: { left: `${plot.valToPos(one.at, "x")}px` } }));
  }
}

function read(event, plot) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "0" || ZOOMS[event.key]) return zoom(event, plot, ZOOMS[event.key]);
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (!step) return;
  event.preventDefault();
  const at = plot.data[0];
  const from = plot.cursor.idx ?? (step > 0 ? -1 : at.length);
  const next = Math.min(at.length - 1, Math.max(0, from + step * (event.shiftKey ? 20 : 1)));
  plot.setCursor({ left: plot.valToPos(at[next], "x"), top: 10 });
}

/** Around the point that is read, or the middle; never beyond what there is. Without a share all of it. */
function zoom(event, plot, share) {
  event.preventDefault();
  const at = plot.data[0];
  const [first, last] = [at[0], at.at(-1)];
  const { min, max } = plot.scales.x;
  if (!share) return plot.setScale("x", { min: first, max: last });
  const middle = at[plot.cursor.idx] ?? (min + max) / 2;
  const half = ((max - min) * share) / 2;
  plot.setScale("x", { min: Math.max(first, middle - half), max: Math.min(last, middle + half) });
}
