"""The positions and notification services as alerts sees them. Decides nothing."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sonic.positions.v1 import positions_pb2 as pb
from sonic.positions.v1 import positions_pb2_grpc as rpc
from sonic.xcom.v1 import xcom_pb2, xcom_pb2_grpc

from services.alerts.alerts.domain.ends import EndRecord, PositionEnd
from services.alerts.alerts.domain.extremes import NO_EXTREMES, Extremes, Unseen
from services.alerts.alerts.domain.readings import (
    FIGURES,
    HELD,
    Positions,
    Reading,
)
from services.alerts.alerts.domain.subjects import Members
from services.alerts.domain.kinds import METRICS, OF_PORTFOLIO, AlertType, Level
from services.alerts.notifications.domain import Acknowledgement, IncidentUpdate, Notification
from shared import columns
from shared.clock import micros_of
from shared.codec import fill, from_timestamp, number, read
from shared.errors import NotFound, SonicError, Unavailable
from shared.rpc.client import Channel, idempotent
from shared.secret_shapes import without_secrets

# Methods of positions that may be tried again.
POSITIONS_READS = idempotent(pb.DESCRIPTOR)

_READ_SECONDS = 20.0
_SHORT_SECONDS = 5.0
_ACTOR_LENGTH = 64
# How many positions that ended are asked for one by one, and how many of them at once.
_ENDS_ASKED, _ENDS_AT_ONCE = 200, 8
_BY_HAND_VENUES = ("manual", "demo")
_STATES = ("status", "flag_bits", "mark_time_micros")
_NAMED = ("position_id", "asset_index", "wallet_index", "side_sign")
_MOST_KEYS = 10_000  # that ReadColumns takes
# Set aside by hand: not judged, and not gone.
_INACTIVE = 5

# The wire's level by ours.
_LEVELS: Mapping[int, xcom_pb2.Level.ValueType] = {
    level: xcom_pb2.Level.Value(f"LEVEL_{level.name}") for level in Level if level > Level.NORMAL
}


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
        with _positions_asked("asked"):
            answer = await self._stub.GetMode(pb.GetModeRequest(), timeout=_SHORT_SECONDS)
        return answer.mode == pb.MODE_DEMO

    async def _position(self, id: str, verb: str = "read") -> pb.Position | None:
        """None when there is none."""
        with _positions_asked(verb):
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
        )
        with _positions_asked():
            async for part in self._columns.ReadColumns(request, timeout=_READ_SECONDS):
                if not parts and known_epoch is not None and part.membership_epoch == known_epoch:
                    return None
                parts.append(part)
        return parts


@contextmanager
def _positions_asked(verb: str = "read") -> Iterator[None]:
    """Any failure of positions is Unavailable POSITIONS_UNAVAILABLE."""
    try:
        yield
    except SonicError as error:
        raise _unavailable("POSITIONS_UNAVAILABLE", f"positions cannot be {verb}", error) from error


@contextmanager
def _xcom_asked() -> Iterator[None]:
    try:
        yield
    except Unavailable as error:
        sentence = "the notification service cannot be reached"
        raise _unavailable("XCOM_UNAVAILABLE", sentence, error) from error


def _unavailable(reason: str, sentence: str, error: SonicError) -> Unavailable:
    return Unavailable(reason, f"{sentence} ({error.reason})", retry_after=timedelta(seconds=1))


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
    )


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


def _present(parts: Sequence[Any]) -> tuple[int, NDArray[np.int64]]:
    joined = _join(parts)
    return _epoch(parts), _whole(joined, "position_key")[
        np.isin(joined["status"], (*HELD, _INACTIVE))
    ]


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


class XComClient:
    """See services.alerts.service.ports.Telling and Hearing."""

    def __init__(self, channel: Channel) -> None:
        self._stub = channel.stub(xcom_pb2_grpc.XComServiceStub)
        self._escalation = channel.stub(xcom_pb2_grpc.EscalationServiceStub)

    async def channels(self) -> list[str]:
        try:
            answer = await self._stub.ListChannels(
                xcom_pb2.ListChannelsRequest(), timeout=_SHORT_SECONDS
            )
        except SonicError as error:
            raise _unavailable("XCOM_UNAVAILABLE", "channels cannot be checked", error) from error
        return [channel.name for channel in answer.channels]

    async def notify(
        self, notifications: Sequence[Notification], seconds: float
    ) -> list[SonicError | None]:
        requests = [_send_request(one) for one in notifications]
        try:
            with _xcom_asked():
                answer = await self._stub.SendBatch(
                    xcom_pb2.SendBatchRequest(requests=requests), timeout=seconds
                )
        except Unavailable as error:
            return [error] * len(notifications)
        except SonicError as error:
            if len(notifications) == 1:
                return [error]
            # Stored was none of them: the one that is wrong keeps no other back.
            alone = [await self.notify([one], seconds) for one in notifications]
            return [one for (one,) in alone]
        return [_refusal(one) for one in answer.results]

    async def update_incident(self, update: IncidentUpdate, seconds: float) -> None:
        request = xcom_pb2.SettleIncidentRequest(
            incident_key=update.incident_key,
            action=xcom_pb2.IncidentAction.Value(f"INCIDENT_ACTION_{update.action}"),
            level=_LEVELS[update.level],
            by=update.actor[:_ACTOR_LENGTH],
        )
        if update.until_time:
            request.until_time.FromJsonString(update.until_time)
        with _xcom_asked():
            await self._escalation.SettleIncident(request, timeout=seconds)

    async def acknowledgements(self, after_sequence: int) -> tuple[Sequence[Acknowledgement], int]:
        request = xcom_pb2.ListAcknowledgementsRequest(
            source="alerts", after_sequence=after_sequence
        )
        with _xcom_asked():
            answer = await self._escalation.ListAcknowledgements(request, timeout=_SHORT_SECONDS)
        return [_acknowledgement(one) for one in answer.acknowledgements], answer.last_sequence


def _send_request(notification: Notification) -> xcom_pb2.SendRequest:
    # What was stored before secrets were refused must not keep a notification back.
    payload = {
        name: text if name == "ledger_head" else without_secrets(text)
        for name, text in notification.payload.items()
    }
    return fill(
        xcom_pb2.SendRequest,
        notification,
        level=_LEVELS[notification.level],
        subject=without_secrets(notification.subject),
        body=without_secrets(notification.body),
        source="alerts",
        facts=payload,
        kind=xcom_pb2.KIND_NEWS if notification.is_news else xcom_pb2.KIND_DANGER,
    )


def _refusal(one: xcom_pb2.SendResult) -> SonicError | None:
    if one.HasField("message"):
        return None
    name = xcom_pb2.ErrorReason.Name(one.failure.reason)
    return SonicError(name.removeprefix("ERROR_REASON_"), one.failure.detail)


def _acknowledgement(one: xcom_pb2.Acknowledgement) -> Acknowledgement:
    # Machines have a level of their own above ours.
    level = {wire: level for level, wire in _LEVELS.items()}.get(one.level, Level.HIGH)
    return read(
        Acknowledgement,
        one,
        level=level,
        actor=one.by,
        said_time=from_timestamp(one, "created_time") or datetime.fromtimestamp(0, UTC),
    )


def _totals(parts: Sequence[Any]) -> dict[AlertType, Reading]:
    """Of the pass whose columns these are; nothing of no answer."""
    if not parts:
        return {}
    totals: pb.Totals = parts[0].totals
    oldest = from_timestamp(totals, "oldest_mark_time")
    micros = micros_of(oldest) if oldest else 0
    return {
        kind: Reading(_total(totals, METRICS[kind].name), micros, totals.stale)
        for kind in OF_PORTFOLIO
    }


def _total(totals: pb.Totals, name: str) -> float | None:
    is_optional = totals.DESCRIPTOR.fields_by_name[name].has_presence
    return number(totals, name) if is_optional else getattr(totals, name)
