// Who is told next of a HIGH message that nobody acknowledges.

import { get, patch } from "/web/api.js";
import { empty, h, show } from "/web/dom.js";
import { confirm, open } from "/web/dialog.js";
import { checkSpan, parseSpan, spanWords, toDuration, writeSpan } from "/web/durations.js";
import { form } from "/web/form.js";
import { keep } from "/web/states.js";
import { busy, say } from "/web/toast.js";

const ROUTES = 3;

export function chain(part) {
  let known = { contacts: [], etag: "" };
  const taken = (answer) => (answer ? display(answer) : kept.refresh());
  const add = h("button", { type: "button", class: "second small", on: { click: () => edit(known, null, taken) } }, "Add a contact");
  part.head.append(h("div", { class: "tools" }, add));
  // What a change answers is shown at once: the next one is made of it.
  const display = (answer) => {
    known = { contacts: answer.contacts ?? [], etag: answer.etag };
    const rows = known.contacts.map((contact, place) => row(known, contact, place, taken));
    const last = h("p", { class: "words" }, "When the last one does not acknowledge either, every other channel is told.");
    show(part.body, rows.length ? [h("ol", { class: "list" }, rows), last] : empty("Nobody: a HIGH that is not acknowledged goes to nobody else, unless it reached no one."));
  };
  const kept = keep(part, () => get("/v1/escalation"), display);
  return kept;
}

async function store(known, contacts, words, taken) {
  taken(await patch("/v1/escalation", { contacts, etag: known.etag }));
  say(words);
}

function row(known, contact, place, taken) {
  const others = known.contacts.filter((one) => one !== contact);
  const raised = () => {
    const moved = [...known.contacts];
    [moved[place - 1], moved[place]] = [moved[place], moved[place - 1]];
    return store(known, moved, `${contact.name} is told earlier.`, taken);
  };
  const drop = async () => {
    if (await confirm({ title: `Remove ${contact.name}?`, text: "Whoever stands after is told instead.", act: "Remove", danger: true })) await store(known, others, `${contact.name} is told no more.`, taken);
  };
  const button = (text, act, label) => h("button", { type: "button", class: "second small", "aria-label": `${label} ${contact.name}`, on: { click: (event) => busy(event.target, act) } }, text);
  return h(
    "li",
    { class: "item" },
    h("div", { class: "line wraps" }, h("b", {}, contact.name), h("span", { class: "subject" }, `after ${spanWords(contact.wait)}`), h("span", { class: "row-acts" }, place ? button("Earlier", raised, "Earlier:") : null, button("Edit", async () => edit(known, contact, taken), "Edit"), button("Remove", drop, "Remove"))),
    h("div", { class: "line below wraps" }, contact.routes.map((route) => h("span", { class: "subject" }, `${route.channel} ${route.address || "(the channel's own destination)"}`))),
  );
}

async function edit(known, contact, taken) {
  const { channels } = await get("/v1/channels");
  const names = [["", "none"], ...channels.map((one) => [one.name, one.name])];
  const routes = Array.from({ length: Math.max(ROUTES, contact?.routes.length ?? 0) }, (_, place) => contact?.routes[place] ?? {});
  const fields = [
    { name: "name", label: "Name", value: contact?.name, required: true, max_length: 64, check: (name) => (known.contacts.some((one) => one !== contact && one.name === name) ? "stands in the chain already" : undefined) },
    { name: "wait", label: "Those before have", value: writeSpan(contact?.wait ?? "300s"), required: true, check: (text) => checkSpan(text, { least: 10, most: 86400 }), help: "to acknowledge: 10s to 1d" },
    ...routes.flatMap((route, place) => [
      { name: `channel_${place}`, label: `Way ${place + 1}`, kind: "select", options: names, value: route.channel ?? "", check: (value) => (place === 0 && !value ? "one way at least" : undefined) },
      { name: `address_${place}`, label: "Address", value: route.address, help: "mail address, number or URL; empty: the channel's own" },
    ]),
  ];
  const made = form({
    fields,
    label: "Contact",
    cancel: () => dialog.close(),
    act: {
      label: contact ? "Save" : "Add",
      send: async (values) => {
        const ways = routes.map((_, place) => ({ channel: values[`channel_${place}`], address: values[`address_${place}`] })).filter((one) => one.channel);
        const after = { name: values.name, wait: toDuration(parseSpan(values.wait)), routes: ways };
        const contacts = contact ? known.contacts.map((one) => (one === contact ? after : one)) : [...known.contacts, after];
        await store(known, contacts, `${after.name} is told when nobody acknowledges.`, taken);
        dialog.close();
      },
    },
    conflict: () => (dialog.close(), taken()),
  });
  const dialog = open(contact ? `Contact ${contact.name}` : "New contact", made.node);
}
