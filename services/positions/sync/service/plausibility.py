"""Which rows of an answer are not believed: contradicted by what is known, or leapt unconfirmed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from services.positions.domain.venue_answer import UNKNOWN_ASSET, Side, Status
from services.positions.enrichment.domain.enrichment import micros
from services.positions.sync.domain.answer_columns import AnswerColumns
from services.positions.sync.domain.leaps import (
    COMPARED,
    Quarantined,
    confirmed,
    leaps,
    noted,
    totals_leap,
)
from services.positions.sync.domain.sync_rows import Reason, Stored
from services.positions.sync.store.quarantine import QuarantineStore


@dataclass(frozen=True, slots=True)
class ImplausibleRow:
    """A row that is refused: of which answer, which position, why, and a sentence for people."""

    place: int
    position_id: str
    reason: str
    field: str
    message: str
    figures: Mapping[str, object]


@dataclass(slots=True)
class Plausibility:
    """Reasons by row of the answers (0: believed), their records, what quarantine is to hold."""

    reasons: NDArray[np.int8]
    records: list[ImplausibleRow] = field(default_factory=list)
    waiting: dict[int, Quarantined] = field(default_factory=dict)
    leaving: list[int] = field(default_factory=list)

    async def settle(self, store: QuarantineStore) -> None:
        """Write what quarantine holds from now on."""
        if self.leaving:
            await store.leave(self.leaving)
        if self.waiting:
            await store.keep(self.waiting)


def check_plausibility(
    stored: Stored,
    rows: AnswerColumns,
    at: NDArray[np.int64],
    asset_keys: NDArray[np.int32],
    assets: Mapping[str, int],
    market_usd: Mapping[str, float],
    quarantined: Mapping[int, Quarantined],
) -> Plausibility:
    """`at`: see sync_rows.matched; `market_usd`: fresh prices by asset."""
    found = Plausibility(np.zeros(len(at), np.int8))
    if not len(stored.columns["side"]) or not len(at):
        return found
    before = {name: column[at] for name, column in stored.columns.items()}
    over = (before["status"] == Status.CLOSED) | (before["status"] == Status.LIQUIDATED)
    known = (at >= 0) & ~over
    _contradicted(found, rows, before, known, asset_keys, assets)
    market = np.array([market_usd.get(name, np.nan) for name in rows.asset_names] or [np.nan])
    prices = market[rows.columns["asset"]]
    shared = rows.columns["shares_collateral"]
    leapt = leaps(
        before, rows.columns, known, prices, shared, _totals(before, rows, known & shared)
    )
    for row in np.flatnonzero(np.any(list(leapt.values()), axis=0) & (found.reasons == 0)).tolist():
        names = [name for name, where in leapt.items() if where[row]]
        _doubt_leap(found, rows, before, row, names, quarantined)
    keys = before["position_key"][known].tolist()
    found.leaving += [key for key in keys if key in quarantined and key not in found.waiting]
    return found


def _totals(
    before: Mapping[str, NDArray[np.float64]], rows: AnswerColumns, known: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    place = rows.columns["place"]
    after = rows.columns["collateral_usd"]
    return totals_leap(before["collateral_usd"], after, known, place, len(rows.complete))


def _contradicted(
    found: Plausibility,
    rows: AnswerColumns,
    before: Mapping[str, NDArray[np.int64]],
    known: NDArray[np.bool_],
    asset_keys: NDArray[np.int32],
    assets: Mapping[str, int],
) -> None:
    """Side and asset of a known position do not change; what was unknown may become known."""
    side = known & (before["side"] != Side.UNKNOWN) & (before["side"] != rows.columns["side"])
    unknown = assets.get(UNKNOWN_ASSET, -1)
    asset = known & (before["asset"] != unknown) & (before["asset"] != asset_keys)
    for where, reason, name in ((side, "SIDE_CHANGED", "side"), (asset, "ASSET_CHANGED", "asset")):
        for row in np.flatnonzero(where & (found.reasons == 0)).tolist():
            found.reasons[row] = Reason.CONTRADICTED
            words = f"its {name} is another than it was, which of a position does not change"
            found.records.append(_record(rows, row, reason, name, words))


def _doubt_leap(
    found: Plausibility,
    rows: AnswerColumns,
    before: Mapping[str, NDArray[np.float64]],
    row: int,
    names: Sequence[str],
    quarantined: Mapping[int, Quarantined],
) -> None:
    key = int(before["position_key"][row])
    figures = {name: float(rows.columns[name][row]) for name in COMPARED}
    observed = micros(rows.observed_times[rows.columns["place"][row]])
    waiting = quarantined.get(key)
    if waiting is not None and confirmed(waiting, figures, observed):
        return
    found.waiting[key] = noted(waiting, figures, observed)
    found.reasons[row] = Reason.IMPLAUSIBLE
    name = names[0]
    new, old = figures[name], float(before[name][row])
    ratio = new / old if old > 0 else np.nan
    words = f"{name} is gone" if np.isnan(ratio) else f"{name} is {ratio:,.4g} times what it was"
    found.records.append(
        _record(
            rows,
            row,
            "LEAPT",
            name,
            f"{words}; it is taken when three looks over a minute say the same",
        )
    )


def _record(rows: AnswerColumns, row: int, reason: str, name: str, words: str) -> ImplausibleRow:
    columns = rows.columns
    asset = rows.asset_names[columns["asset"][row]]
    figures: dict[str, object] = {"asset": asset, "side": Side(int(columns["side"][row])).name}
    figures |= {
        each: float(columns[each][row]) for each in COMPARED if not np.isnan(columns[each][row])
    }
    return ImplausibleRow(
        int(columns["place"][row]), rows.ids[row], reason, name, f"{asset}: {words}", figures
    )
