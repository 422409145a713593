// The figures of an account in words.

import { percent, plain, present, times, usd } from "/web/format.js";

export const SEPARATE = "ACCOUNT_KIND_SEPARATE_POSITIONS";
const ESTIMATED = "BETA_SOURCE_ESTIMATED";

/** The figures of an account as pairs of label and text; what is not known is told from what there is none of. */
export function accountFigures(account) {
  const value = (given, write) => (present(given) ? write(given) : null);
  const never = (given, way) => (present(given) ? (Number(given) <= 0 ? "now" : percent(given)) : account.reason ? null : `by no ${way}`);
  const figures = [
    ["Equity", value(account.equity_usd, usd)],
    account.kind === SEPARATE ? null : ["Maintenance", value(account.maintenance_usd, usd)],
    account.kind === SEPARATE ? null : ["Margin ratio", value(account.margin_ratio, (ratio) => plain(ratio, 3))],
    ["Exposure", value(account.exposure_ratio, times)],
    ["All prices fall by", never(account.common_down_percent, "fall")],
    ["All prices rise by", never(account.common_up_percent, "rise")],
  ];
  if (present(account.beta_down_percent) || present(account.beta_up_percent)) {
    // By what others did lately when BTC moved, or by what was given.
    const [fall, rise] = account.beta_source === ESTIMATED ? ["BTC falls by, others by their betas", "BTC rises by, others by their betas"] : ["With betas, fall", "With betas, rise"];
    figures.push([fall, never(account.beta_down_percent, "fall")], [rise, never(account.beta_up_percent, "rise")]);
  }
  return figures.filter(Boolean);
}
