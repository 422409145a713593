"""The last pass in memory, as columns under their wire names: some 150 bytes a position, and 50
of the inputs that it shows none of.

Right as long as its pass number is the stored one.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from math import isnan
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from services.positions.domain.position import Risk
from services.positions.enrichment.domain.enrichment import (
    Column,
    Columns,
    Feed,
    places_of,
    side_sign,
)
from services.positions.enrichment.domain.frozen_marks import (
    NO_MARKS,
    FrozenMark,
    FrozenRows,
    estimated_distance_percent,
)
from services.positions.enrichment.domain.metrics import METRIC_NAMES, flags_of
from services.positions.enrichment.domain.totals import Totals, stale_rows, totals
from shared.errors import InvalidArgument
from shared.touch import TouchModel

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FROM_INPUTS: Final = ("entry_price_usd", "size_usd", "collateral_usd", "pnl_after_fees_usd")
FROM_RESULTS: Final = (
    "mark_price_usd",
    "market_price_usd",
    "risk_liquidation_price_usd",
    *METRIC_NAMES,
)
_OF_RISK: Final = ("asset_index", "mark_time_micros", "flag_bits", *FROM_RESULTS)
_UNSENT = "market_price_usd"


@dataclass(frozen=True, slots=True)
class EnrichedFrame:
    """Rows in ascending position_key; NaN = absent. `totals`: those of the same pass. `inputs`: the
    columns it was made of, right while `inputs_version` is the stored one.
    """

    pass_number: int
    membership_epoch: int
    # The last event of positions that the pass knows.
    event_sequence: int
    enriched_time: datetime | None
    columns: Mapping[str, Column]
    totals: Totals
    asset_names: tuple[str, ...]
    wallet_names: tuple[str, ...]
    venue_names: tuple[str, ...]
    inputs: Columns
    inputs_version: int
    # By asset_index; an asset without a price has none.
    asset_models: tuple[TouchModel | None, ...]
    feeds: tuple[Feed, ...] = ()
    # Marks that were said to stand still, and the rows by one; None: no row is.
    frozen_marks: Sequence[FrozenMark] = NO_MARKS
    frozen: FrozenRows | None = None

    def __len__(self) -> int:
        return len(self.columns["position_key"])

    @property
    def portfolios(self) -> list[str]:
        """Of each of `wallet_names`; empty = none."""
        known = {feed.wallet: feed.portfolio or "" for feed in self.feeds}
        return [known.get(name, "") for name in self.wallet_names]

    @property
    def is_unread(self) -> bool:
        """Whether the last look at a wallet gave nothing: what it holds is then not known."""
        return _is_unread(self.feeds)

    def asked(self, names: Iterable[str], position_keys: Sequence[int] = ()) -> Columns:
        """position_key and these columns, but `position_id`, of these positions (none: of all);
        InvalidArgument UNKNOWN_COLUMN.
        """
        known = [name for name in self.columns if name != _UNSENT]
        chosen = {"position_key": self.columns["position_key"]}
        for name in names:
            if name == "position_id":
                continue
            if name not in known:
                listed = ", ".join([*known, "position_id"])
                raise InvalidArgument(
                    "UNKNOWN_COLUMN",
                    f"no column {name[:60]!r}; known are {listed}",
                    fields={"columns": f"of {listed}"},
                )
            chosen[name] = self.columns[name]
        if not position_keys:
            return chosen
        rows = places_of(np.unique(np.array(position_keys, np.int64)), chosen["position_key"])
        return {name: column[rows[rows >= 0]] for name, column in chosen.items()}

    def risks(self, position_keys: Sequence[int]) -> list[Risk | None]:
        """The figures of each position, None where the pass did not judge it."""
        if len(position_keys) == 1 and self.frozen is None:
            return [self._risk_of(position_keys[0])]
        places = places_of(np.array(position_keys, np.int64), self.columns["position_key"])
        judged = places[places >= 0]
        rows = zip(*(self.columns[name][judged].tolist() for name in _OF_RISK), strict=True)
        found = [None if place < 0 else self._risk(*next(rows)) for place in places.tolist()]
        if self.frozen is None:
            return found
        since = self.frozen.since_micros
        return [
            risk if risk is None or not since[place] else self._estimated(risk, place)
            for risk, place in zip(found, places.tolist(), strict=True)
        ]

    def _estimated(self, risk: Risk, place: int) -> Risk:
        """With the distance by the market price, of a row by a mark that stands still."""
        assert self.frozen is not None  # noqa: S101  # it was asked
        row = slice(place, place + 1)
        sides, lines = self.columns["side_sign"], self.columns["risk_liquidation_price_usd"]
        estimated = estimated_distance_percent(sides[row], self.frozen.price_usd[row], lines[row])
        since_micros = int(self.frozen.since_micros[place])
        return replace(
            risk,
            estimated_liquidation_distance_percent=_number(float(estimated[0])),
            mark_frozen_since_time=_EPOCH + timedelta(microseconds=since_micros),
        )

    def _risk_of(self, position_key: int) -> Risk | None:
        """The same of one: columns made for one row cost more than all else that is done with
        it.
        """
        keys = self.columns["position_key"]
        place = int(keys.searchsorted(position_key))
        if place == len(keys) or keys.item(place) != position_key:
            return None
        columns = self.columns
        return self._risk(*[columns[name].item(place) for name in _OF_RISK])

    def _risk(self, asset: int, mark_micros: int, flag_bits: int, *numbers: float) -> Risk:
        known = [None if isnan(value) else value for value in numbers]
        figures: dict[str, Any] = dict(zip(FROM_RESULTS, known, strict=True))
        is_said = figures["liquidation_probability"] is not None
        return Risk(
            **figures,
            probability_model=self.asset_models[asset] if is_said else None,
            mark_time=_EPOCH + timedelta(microseconds=mark_micros) if mark_micros > 0 else None,
            flags=flags_of(flag_bits),
            enriched_time=self.enriched_time,
        )


def changed_keys(before: EnrichedFrame, after: EnrichedFrame) -> NDArray[np.int64]:
    """Keys of positions that are new or show another figure; a renumbered wallet is a change."""
    keys: NDArray[np.int64] = after.columns["position_key"]
    if not len(before):
        return keys
    places = places_of(keys, before.columns["position_key"])
    same = places >= 0
    for name, column in after.columns.items():
        old = before.columns[name][places]
        equal = column == old
        same &= equal | (np.isnan(column) & np.isnan(old)) if column.dtype.kind == "f" else equal
    return np.asarray(keys[~same], np.int64)


def _number(value: float) -> float | None:
    return None if isnan(value) else value


def compose(
    inputs: Columns,
    results: Mapping[str, Column],
    feeds: Mapping[int, Feed],
    assets: Mapping[int, str],
    *,
    pass_number: int,
    membership_epoch: int,
    event_sequence: int,
    enriched_time: datetime | None,
    inputs_version: int,
    known_totals: Totals | None = None,
    models: Mapping[str, TouchModel] = MappingProxyType({}),
    frozen_marks: Sequence[FrozenMark] = NO_MARKS,
) -> EnrichedFrame:
    """A frame of input and result columns of the same rows; without `known_totals` summed."""
    asset_names = tuple(assets.values())
    wallet_names, wallets = _named({key: feed.wallet for key, feed in feeds.items()})
    venue_names, venues = _named({key: feed.venue for key, feed in feeds.items()})
    status = inputs["status"].astype(np.int8)
    columns = {
        "position_key": inputs["position_key"],
        "asset_index": _places({key: at for at, key in enumerate(assets)})[inputs["asset_key"]],
        "wallet_index": wallets[inputs["feed_key"]],
        "venue_index": venues[inputs["feed_key"]],
        "side_sign": side_sign(inputs["side"]),
        "status": status,
        "flag_bits": results["flag_bits"],
        "stale": stale_rows(status, results["flag_bits"]),
        "mark_time_micros": results["mark_time"],
        **{name: inputs[name] for name in FROM_INPUTS},
        **{name: results[name] for name in FROM_RESULTS},
    }
    return EnrichedFrame(
        pass_number,
        membership_epoch,
        event_sequence,
        enriched_time,
        columns,
        known_totals or totals(columns, enriched_time, is_unread=_is_unread(feeds.values())),
        asset_names,
        wallet_names,
        venue_names,
        inputs,
        inputs_version,
        tuple(models.get(name) for name in asset_names),
        tuple(feeds.values()),
        frozen_marks,
        _frozen(results),
    )


def _frozen(results: Mapping[str, Column]) -> FrozenRows | None:
    since = results.get("mark_frozen_since_micros")
    if since is None or not since.any():
        return None
    return FrozenRows(since, results["estimate_price_usd"])


def _is_unread(feeds: Iterable[Feed]) -> bool:
    return any(feed.failed and feed.active for feed in feeds)


def _named(by_key: Mapping[int, str]) -> tuple[tuple[str, ...], Column]:
    """The names once each, and a table of their places by key."""
    names = tuple(dict.fromkeys(by_key.values()))
    return names, _places({key: names.index(name) for key, name in by_key.items()})


def _places(by_key: Mapping[int, int]) -> Column:
    """A table of places by key, in the narrowest numbers that hold them."""
    narrow = np.min_scalar_type(max(by_key.values(), default=0))
    table = np.zeros(max(by_key, default=0) + 1, narrow)
    for key, place in by_key.items():
        table[key] = place
    return table
