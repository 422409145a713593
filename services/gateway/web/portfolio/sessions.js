// Sessions: a stretch of trading with its result; the strategy with its start.

import { age } from "/web/ages.js";
import { get, patch, post } from "/web/api.js";
import { empty, h, pill, show } from "/web/dom.js";
import { confirm, open } from "/web/dialog.js";
import { form } from "/web/form.js";
import { percent, present, signed, usd } from "/web/format.js";
import { keep } from "/web/states.js";
import { busy, say } from "/web/toast.js";

export function sessions(part) {
  const start = h("button", { type: "button", class: "second", on: { click: () => begin(() => kept.refresh()) } }, "Start a session");
  part.head.append(h("div", { class: "tools" }, start));
  const display = ({ sessions: rows }) => {
    start.disabled = rows.some((one) => one.status === "SESSION_STATUS_OPEN");
    start.title = start.disabled ? "one is open; stop it first" : "";
    show(part.body, rows.length ? h("div", { class: "list" }, rows.map((one) => row(one, () => kept.refresh()))) : empty("No session yet: it measures what comes of the portfolio from its start to its end."));
  };
  const kept = keep(part, () => get("/v1/sessions?page_size=20"), display);
  return kept;
}

function row(session, reload) {
  const open = session.status === "SESSION_STATUS_OPEN";
  const stop = h("button", { type: "button", class: "second small", on: { click: () => busy(stop, () => end(session, reload)) } }, "Stop");
  const tone = Number(session.performance_usd) < 0 ? "loss" : "gain";
  const returned = present(session.return_percent) ? ` (${signed(session.return_percent, percent(session.return_percent, 2))})` : "";
  const drawdown = present(session.max_drawdown_percent) ? `, ${percent(session.max_drawdown_percent)}` : "";
  return h(
    "article",
    { class: "item", data: { session: session.id } },
    h("div", { class: "line wraps" }, h("b", {}, session.name || "unnamed"), open ? pill("OPEN", "run-SUCCESS") : null, h("span", { class: `n ${tone} strong` }, `${usd(session.performance_usd, { sign: true })}${returned}`), h("span", { class: "row-acts" }, open ? stop : null)),
    h("div", { class: "line below wraps" }, h("span", { class: "subject" }, "started ", age(session.started_time, { after: " ago" })), session.ended_time ? h("span", { class: "subject" }, "ended ", age(session.ended_time, { after: " ago" })) : null, h("span", { class: "subject n" }, `${usd(session.start_value_usd)} → ${usd(session.value_usd)}`), Number(session.max_drawdown_usd) ? h("span", { class: "subject n" }, `deepest fall ${usd(session.max_drawdown_usd)}${drawdown}`) : null),
    session.note ? h("div", { class: "note" }, session.note) : null,
  );
}

function begin(reload) {
  const send = async (values) => {
    const made = await post("/v1/sessions", values);
    say(`Started at ${usd(made.start_value_usd)}.`);
    await reload();
    dialog.close();
  };
  const made = form({ label: "Session", fields: [{ name: "name", label: "Name", max_length: 64 }, { name: "note", label: "Note", kind: "area", max_length: 2000 }], cancel: () => dialog.close(), act: { label: "Start", send } });
  const dialog = open("Start a session", [h("p", {}, "Money moved in or out counts as performance."), made.node]);
}

async function end(session, reload) {
  if (!(await confirm({ title: "Stop this session?", text: "Its figures are final then.", act: "Stop" }))) return;
  const done = await post(`/v1/sessions/${encodeURIComponent(session.id)}:end`, {});
  say(`${done.name || "The session"}: ${usd(done.performance_usd, { sign: true })}.`);
  reload();
}

export function strategy(part) {
  let known = {};
  const change = h("button", { type: "button", class: "second", on: { click: () => edit(known, () => kept.refresh()) } }, "Edit");
  part.head.append(h("div", { class: "tools" }, change));
  const fact = (label, value, kind = "") => h("div", { class: "fact" }, h("small", {}, label), h("b", { class: `n ${kind}` }, value));
  const display = (answer) => {
    known = answer;
    const tone = Number(answer.performance_usd) < 0 ? "loss" : "gain";
    const facts = present(answer.start_value_usd)
      ? [fact("start", usd(answer.start_value_usd)), fact("now", usd(answer.value_usd)), fact("performance", usd(answer.performance_usd, { sign: true }), tone), present(answer.return_percent) ? fact("return", signed(answer.return_percent, percent(answer.return_percent, 2)), tone) : null]
      : [fact("now", usd(answer.value_usd)), h("p", { class: "about" }, "No start value was entered.")];
    show(part.body, h("div", { class: "facts" }, facts), answer.description ? h("p", { class: "words" }, answer.description) : null);
  };
  const kept = keep(part, () => get("/v1/strategy"), display);
  return kept;
}

function edit(known, reload) {
  const send = async (values) => {
    await patch("/v1/strategy", values, ["start_value_usd", "description"]);
    say("The strategy was changed.");
    await reload();
    dialog.close();
  };
  const fields = [{ name: "start_value_usd", label: "Start value", kind: "number", unit: "$", min: 0, value: known.start_value_usd }, { name: "description", label: "Description", kind: "area", value: known.description, max_length: 2000 }];
  const made = form({ label: "Strategy", fields, cancel: () => dialog.close(), act: { label: "Save", send } });
  const dialog = open("Strategy", made.node);
}
