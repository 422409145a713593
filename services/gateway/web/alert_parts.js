// What every list of alerts shows alike: news or danger, the subject, the way to the next limit.

import { h } from "/web/dom.js";
import { plain, present, word } from "/web/format.js";

export const isJudged = (alert) => alert.status !== "ALERT_STATUS_INACTIVE";

export function subject(alert) {
  const words = [alert.account, alert.asset, alert.side.toLowerCase(), alert.wallet].filter(Boolean).join(" ") || word(alert.alert_class, "ALERT_CLASS_");
  return alert.position_id ? h("a", { class: "subject", href: `/positions/${encodeURIComponent(alert.position_id)}` }, words) : h("span", { class: "subject" }, words);
}

export function meter(alert) {
  if (!present(alert.progress_percent)) return null;
  const way = Math.max(0, Math.min(100, alert.progress_percent));
  const label = `${plain(alert.progress_percent, 0)} % of the way to the next limit`;
  return h("div", { class: "meter", role: "img", title: label, "aria-label": label }, h("i", { style: { "--way": `${way}%` } }));
}
