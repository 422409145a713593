// Numbers, names and ages as people read them. An absent number has no text: the caller shows it as unknown.

export const present = (value) => value !== undefined && value !== null && Number.isFinite(Number(value));

const formats = new Map();
function digits(value, count) {
  if (!formats.has(count)) {
    formats.set(count, new Intl.NumberFormat("en-US", { minimumFractionDigits: count, maximumFractionDigits: count }));
  }
  return formats.get(count).format(value).replace(/^-(?=[0.,]*$)/, "").replace("-", "−");
}

export function usd(value, { sign = false } = {}) {
  const number = Number(value);
  const text = digits(Math.abs(number), Math.abs(number) >= 100000 ? 0 : 2);
  return `${number < 0 ? "−" : sign && number > 0 ? "+" : ""}$${text}`;
}

export function price(value) {
  const number = Number(value);
  const size = Math.abs(number);
  return digits(number, size >= 100 ? 2 : size >= 1 ? 3 : size >= 0.01 ? 5 : 8);
}

export const percent = (value, count = 1) => `${digits(Number(value), count)} %`;
export const plain = (value, count = 1) => digits(Number(value), count);
export const times = (value) => `${digits(Number(value), Number(value) >= 100 ? 0 : 2)}×`;
export const signed = (value, text) => (Number(value) > 0 ? `+${text}` : text);

/** A reading by the unit its metric's name ends with. */
export function reading(metric, value) {
  if (metric.endsWith("_usd")) return usd(value);
  if (metric.endsWith("_percent")) return percent(value, 2);
  if (metric.includes("probability")) return percent(100 * Number(value), 2);
  if (metric.includes("leverage") || metric.includes("exposure")) return times(value);
  return plain(value, 2);
}

/** "ALERT_TYPE_TRAVEL_PERCENT" without its prefix, in lower-case words. */
export const word = (name, prefix = "") => String(name ?? "").replace(prefix, "").replaceAll("_", " ").toLowerCase().replace(/^avg /, "average ");
export const code = (name, prefix) => String(name ?? "").replace(prefix, "");

/** The time of a day, the same everywhere: "07:05". */
export const clock = (time) => new Date(time).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hour12: false });

/** A protobuf duration ("1.25s") in milliseconds. */
export const milliseconds = (duration) => (duration ? 1000 * Number.parseFloat(duration) : NaN);

export function span(ms) {
  if (!Number.isFinite(ms)) return "";
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  return seconds(ms / 1000);
}

export function seconds(count) {
  const whole = Math.max(0, Math.floor(count));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min`;
  if (whole < 172800) return `${Math.floor(whole / 3600)} h`;
  return `${Math.floor(whole / 86400)} d`;
}

// The system's clock less this machine's: an age is judged by the clock that wrote the time.
let offset = 0;
export function clockOf(response) {
  const theirs = Date.parse(response.headers.get("date") ?? "");
  if (Number.isFinite(theirs)) offset = Math.abs(theirs - Date.now()) > 5000 ? theirs - Date.now() : 0;
}

export const ageSeconds = (time) => (Date.now() + offset - Date.parse(time)) / 1000;

// Colour bands of figures; the limits that judge live with the alerts.
const band = (value, limits, names) => names[limits.findIndex((limit) => value < limit)] ?? names.at(-1);
export const heatBand = (heat) => band(heat - 1e-9, [20, 40, 60, 80], ["blue", "green", "yellow", "orange", "red"]);
export const travelBand = (travel) =>
  band(Math.max(0, -travel) - 1e-9, [25, 50, 75], ["green", "yellow", "orange", "red"]);
export const ageBand = (age) => band(age, [300, 900], ["green", "yellow", "red"]);
