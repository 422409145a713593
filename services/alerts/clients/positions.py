"""The positions service as alerts sees it. Decides nothing."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sonic.positions.v1 import positions_pb2 as pb
from sonic.positions.v1 import positions_pb2_grpc as rpc

from services.alerts.alerts.domain.accounts import (
    ACCOUNT_FIGURES,
    DISTANCE,
    NO_ACCOUNTS,
    Account,
    Accounts,
    common_move,
    exposure,
)
from services.alerts.alerts.domain.ends import EndRecord, PositionEnd
from services.alerts.alerts.domain.estimates import NO_FROZEN, FrozenMarks
from services.alerts.alerts.domain.extremes import NO_EXTREMES, Extremes, Unseen
from services.alerts.alerts.domain.readings import (
    FIGURES,
    HELD,
    Positions,
    Reading,
)
from services.alerts.alerts.domain.subjects import Members
from services.alerts.clients.failures import positions_asked
from services.alerts.domain.kinds import METRICS, OF_PORTFOLIO, AlertType
from shared import columns
from shared.clock import micros_of
from shared.codec import from_timestamp, number
from shared.errors import NotFound
from shared.rpc.client import Channel, idempotent

# Methods of positions that may be tried again.
POSITIONS_READS = idempotent(pb.DESCRIPTOR)

_READ_SECONDS = 20.0
_SHORT_SECONDS = 5.0
# How many positions that ended are asked for one by one, and how many of them at once.
_ENDS_ASKED, _ENDS_AT_ONCE = 200, 8
_BY_HAND_VENUES = ("manual", "demo")
_STATES = ("status", "flag_bits", "mark_time_micros")
_NAMED = ("position_id", "asset_index", "wallet_index", "side_sign")
_MOST_KEYS = 10_000  # that ReadColumns takes
# Set aside by hand: not judged, and not gone.
_INACTIVE = 5


class PositionsClient:
    """See services.alerts.service.ports.PositionsPeer."""

    def __init__(self, channel: Channel) -> None:
        # Columns come as bytes, so the generated type does not describe the answer.
        self._columns: Any = channel.stub(rpc.PositionsServiceStub, columns=["ReadColumns"])
        self._stub = channel.stub(rpc.PositionsServiceStub)

    async def figures(self) -> Positions:
        parts = await self._read((*_STATES, *FIGURES)) or []
        return _positions(parts, _join(parts))

    async def readings(
        self, extremes_since_micros: int = 0
    ) -> tuple[Positions, Mapping[AlertType, Reading]]:
        asked = (*_STATES, *FIGURES)
        parts = await self._read(asked, extremes_since_micros=extremes_since_micros) or []
        return _positions(parts, _join(parts)), _totals(parts)

    async def members(self) -> Members:
        return _members(await self._read((*_STATES, *FIGURES, *_NAMED)) or [])

    async def members_since(
        self, known_epoch: int, known_keys: NDArray[np.int64]
    ) -> Members | None:
        parts = await self._read(("status",), known_epoch)
        if parts is None:
            return None
        # Texts are what costs: those who are known are not asked for again.
        joined = _join(parts)
        others = np.setdiff1d(joined["position_key"], known_keys, assume_unique=True).tolist()
        if len(others) > _MOST_KEYS:
            return await self.members()
        asked = (*_STATES, *FIGURES, *_NAMED)
        # Of nobody the names of assets are wanted still: no key is 0.
        found = _members(await self._read(asked, position_keys=others or [0]) or [])
        # Who opened between the two readings is in neither: the next epoch asks for them.
        return replace(found, membership_epoch=_epoch(parts))

    async def present(self) -> tuple[int, NDArray[np.int64]]:
        return _present(await self._read(("status",)) or [])

    async def present_since(self, known_epoch: int) -> tuple[int, NDArray[np.int64]] | None:
        parts = await self._read(("status",), known_epoch)
        return None if parts is None else _present(parts)

    async def ends(self, position_ids: Collection[str]) -> Mapping[str, PositionEnd]:
        places = asyncio.Semaphore(_ENDS_AT_ONCE)

        async def one(id: str) -> PositionEnd:
            async with places:
                position = await self._position(id)
            return PositionEnd(EndRecord.BY_HAND) if position is None else _ended(position)

        asked = list(position_ids)[:_ENDS_ASKED]
        return dict(zip(asked, await asyncio.gather(*map(one, asked)), strict=True))

    async def has(self, position_id: str) -> bool:
        return await self._position(position_id, "asked") is not None

    async def is_demo(self) -> bool:
        with positions_asked("asked"):
            answer = await self._stub.GetMode(pb.GetModeRequest(), timeout=_SHORT_SECONDS)
        return answer.mode == pb.MODE_DEMO

    async def _position(self, id: str, verb: str = "read") -> pb.Position | None:
        """None when there is none."""
        with positions_asked(verb):
            try:
                request = pb.GetPositionRequest(id=id)
                return await self._stub.GetPosition(request, timeout=_SHORT_SECONDS)
            except NotFound:
                return None

    async def _read(
        self,
        names: Sequence[str],
        known_epoch: int | None = None,
        position_keys: Sequence[int] = (),
        extremes_since_micros: int = 0,
    ) -> list[Any] | None:
        """All parts of the stream; None, and no further part, at the known epoch."""
        parts: list[Any] = []
        request = pb.ReadColumnsRequest(
            columns=names,
            position_keys=position_keys,
            extremes_since_micros=extremes_since_micros,
            accounts=True,
        )
        with positions_asked():
            async for part in self._columns.ReadColumns(request, timeout=_READ_SECONDS):
                if not parts and known_epoch is not None and part.membership_epoch == known_epoch:
                    return None
                parts.append(part)
        return parts


def _epoch(parts: Sequence[Any]) -> int:
    return int(parts[0].membership_epoch) if parts else 0


def _join(parts: Sequence[Any]) -> dict[str, columns.Array]:
    decoded = [columns.decode(part) for part in parts] or [
        columns.decode(columns.bytes_view(pb.PositionColumns)())
    ]
    if len(decoded) == 1:
        return decoded[0]
    return {name: np.concatenate([part[name] for part in decoded]) for name in decoded[0]}


def _whole(joined: Mapping[str, columns.Array], name: str) -> NDArray[np.int64]:
    return joined[name].astype(np.int64, copy=False)


def _held(joined: Mapping[str, columns.Array]) -> NDArray[np.bool_]:
    status = joined["status"]
    held: NDArray[np.bool_] = np.logical_or.reduce([status == number for number in HELD])
    return held


def _positions(parts: Sequence[Any], joined: Mapping[str, columns.Array]) -> Positions:
    mask = _held(joined)
    # All of them are read as they came, without a copy.
    held = slice(None) if mask.all() else mask
    return Positions(
        _epoch(parts),
        _whole(joined, "position_key")[held],
        _whole(joined, "status")[held],
        _whole(joined, "flag_bits")[held],
        _whole(joined, "mark_time_micros")[held],
        {name: joined[name][held] for name in FIGURES},
        dict(zip(parts[0].asset_names, parts[0].asset_models, strict=False)) if parts else {},
        _extremes(parts[0], joined, held) if len(joined["extreme_price_usd"]) else NO_EXTREMES,
        int(parts[0].event_sequence) if parts else 0,
        _accounts(parts),
        _frozen(joined, held),
    )


def _accounts(parts: Sequence[Any]) -> Accounts:
    return Accounts.of(map(_account, parts[0].accounts)) if parts else NO_ACCOUNTS


def _account(message: pb.AccountReading) -> Account:
    distance = common_move(number(message, "distance_percent"), message.reason)
    exposed, *rest = (number(message, name) for name in ACCOUNT_FIGURES if name != DISTANCE)
    equity, notional, _ = rest
    figures = [math.nan if figure is None else figure for figure in rest]
    return Account(
        message.id,
        f"{message.venue} {message.name}",
        message.wallet,
        [distance, exposure(exposed, equity, notional), *figures],
        message.observed_micros,
        message.stale,
        _at_worst(message.at_worst) if message.HasField("at_worst") else None,
    )


def _at_worst(message: pb.AccountAtWorst) -> Sequence[float]:
    exposed = number(message, "exposure_ratio")
    distance = common_move(number(message, "distance_percent"), "")
    return distance, math.inf if exposed is None else exposed


def _extremes(
    first: Any, joined: Mapping[str, columns.Array], held: NDArray[np.bool_] | slice
) -> Extremes:
    return Extremes(
        joined["extreme_price_usd"],
        joined["extreme_time_micros"],
        dict(zip(first.asset_names, first.extreme_sources, strict=False)),
        first.extremes_until_micros,
        [
            Unseen(
                one.asset,
                one.start_time.ToDatetime(UTC),
                one.end_time.ToDatetime(UTC),
                one.reason,
            )
            for one in first.unseen
        ],
    ).pick(held)


def _frozen(joined: Mapping[str, columns.Array], held: NDArray[np.bool_] | slice) -> FrozenMarks:
    if not len(joined["mark_frozen_since_micros"]):
        return NO_FROZEN
    frozen = FrozenMarks(_whole(joined, "mark_frozen_since_micros"), joined["estimate_price_usd"])
    return frozen.pick(held)


def _present(parts: Sequence[Any]) -> tuple[int, NDArray[np.int64]]:
    joined = _join(parts)
    held = np.isin(joined["status"], (*HELD, _INACTIVE))
    positions = _whole(joined, "position_key")[held]
    return _epoch(parts), np.concatenate([positions, _accounts(parts).key])


def _ended(position: pb.Position) -> PositionEnd:
    mark, liquidation = (
        number(position, "mark_price_usd"),
        number(position, "liquidation_price_usd"),
    )
    sign = {pb.SIDE_LONG: 1, pb.SIDE_SHORT: -1}.get(position.side, 0)
    known = bool(mark and liquidation and sign)
    distance = (
        100 * sign * (mark - liquidation) / mark if known and mark and liquidation else math.nan
    )
    if position.status == pb.STATUS_LIQUIDATED:
        return PositionEnd(EndRecord.LIQUIDATED, distance)
    if position.venue in _BY_HAND_VENUES:
        return PositionEnd(EndRecord.BY_HAND, distance)
    return PositionEnd(EndRecord.CLOSED, distance)


def _members(parts: Sequence[Any]) -> Members:
    joined = _join(parts)
    held = _held(joined)
    ids = [id for part in parts for id in part.position_id]
    first = parts[0] if parts else pb.PositionColumns()
    positions = _positions(parts, joined)
    return Members(
        positions.membership_epoch,
        positions.position_key,
        [ids[row] for row in np.flatnonzero(held).tolist()],
        list(first.asset_names),
        _whole(joined, "asset_index")[held],
        list(first.wallet_names),
        _whole(joined, "wallet_index")[held],
        _whole(joined, "side_sign")[held],
        positions,
    )


def _totals(parts: Sequence[Any]) -> dict[AlertType, Reading]:
    """Of the pass whose columns these are; nothing of no answer."""
    if not parts:
        return {}
    totals: pb.Totals = parts[0].totals
    oldest = from_timestamp(totals, "oldest_mark_time")
    micros = micros_of(oldest) if oldest else 0
    by_rows = parts[0].totals_stale_by_rows_alone
    return {
        kind: Reading(_total(totals, METRICS[kind].name), micros, totals.stale, by_rows)
        for kind in OF_PORTFOLIO
    }


def _total(totals: pb.Totals, name: str) -> float | None:
    is_optional = totals.DESCRIPTOR.fields_by_name[name].has_presence
    return number(totals, name) if is_optional else getattr(totals, name)
