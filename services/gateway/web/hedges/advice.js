// What to change of one leg so that both sides weigh the same: by value, or by tokens. Nothing is changed by it.

import { post } from "/web/api.js";
import { h, pill, show } from "/web/dom.js";
import { plain, present, times, usd, word } from "/web/format.js";

const TARGETS = [["REBALANCE_TARGET_EQUAL_VALUE", "Equal value"], ["REBALANCE_TARGET_DELTA_NEUTRAL", "Delta neutral"]];
const SIDES = [["SIDE_LONG", "long"], ["SIDE_SHORT", "short"]];
const FIELDS = [["REBALANCE_FIELD_COLLATERAL", "collateral"], ["REBALANCE_FIELD_SIZE", "size"]];

/** {node, refresh}; `path()` is where to ask. */
export function advice(path) {
  const chosen = { side: "SIDE_LONG", field: "REBALANCE_FIELD_SIZE" };
  const lines = h("div", { class: "lines advised" });
  const choose = (name, options) => {
    const buttons = options.map(([value, text]) => h("button", { type: "button", "aria-pressed": String(chosen[name] === value), on: { click: () => pick(value) } }, text));
    const pick = (value) => {
      chosen[name] = value;
      buttons.forEach((button, place) => button.setAttribute("aria-pressed", String(options[place][0] === value)));
      refresh();
    };
    return h("span", { class: "seg", role: "group", "aria-label": name }, buttons);
  };
  const node = h("section", { class: "advice", "aria-label": "Rebalance" }, h("div", { class: "line wraps" }, h("b", {}, "Rebalance"), h("span", { class: "subject" }, "change the"), choose("field", FIELDS), h("span", { class: "subject" }, "of the largest"), choose("side", SIDES)), lines);
  let asked = 0;

  async function refresh() {
    const mine = ++asked;
    const answers = await Promise.all(TARGETS.map(([target]) => post(path(), { target, ...chosen }).catch((problem) => ({ problem }))));
    if (mine === asked) show(lines, answers.map((answer, place) => line(TARGETS[place][1], answer)));
  }
  return { node, refresh };
}

function line(name, answer) {
  const text = h("p", { class: "line wraps" }, h("span", { class: "target" }, name));
  if (answer.problem) text.append(h("span", { class: "trouble" }, answer.problem.message));
  else if (answer.outcome === "REBALANCE_OUTCOME_ALREADY_MET") text.append(pill("MET", "run-SUCCESS"), h("span", { class: "subject" }, "nothing to do"));
  else if (answer.outcome === "REBALANCE_OUTCOME_CANNOT_BE_MET") text.append(pill("CANNOT BE MET", "soft"), h("span", { class: "subject" }, answer.message || word(answer.reason, "REBALANCE_REASON_")));
  else text.append(...change(answer));
  return text;
}

function change(answer) {
  const [size, collateral] = [Number(answer.size_change_usd ?? 0), Number(answer.collateral_change_usd ?? 0)];
  const act = size ? `${size < 0 ? "cut" : "add"} ${usd(Math.abs(size))} of size` : `${collateral < 0 ? "take out" : "add"} ${usd(Math.abs(collateral))} of collateral`;
  const facts = [
    `${answer.leg?.position_id ?? ""}`,
    size ? `to ${usd(answer.size_usd)}` : `to ${usd(answer.collateral_usd)}`,
    present(answer.leverage_ratio) ? `then ${times(answer.leverage_ratio)}` : "",
    size && present(answer.fee_usd) ? `fee about ${usd(answer.fee_usd)}` : "",
    present(answer.imbalance_after_usd) ? `imbalance ${usd(answer.imbalance_before_usd, { sign: true })} → ${usd(answer.imbalance_after_usd, { sign: true })}` : "",
    answer.stale_position_ids?.length ? `counts as held what may be gone: ${answer.stale_position_ids.join(", ")}` : "",
    present(answer.net_delta_after_tokens) ? `net delta ${plain(answer.net_delta_before_tokens, 4)} → ${plain(answer.net_delta_after_tokens, 4)}` : "",
  ].filter(Boolean);
  return [h("b", {}, act), h("span", { class: "subject wide-words" }, facts.join(" · "))];
}
