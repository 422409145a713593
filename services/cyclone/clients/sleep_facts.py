"""What the other services say of the night to come."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from sonic.alerts.v1 import alerts_pb2, alerts_pb2_grpc
from sonic.monitor.v1 import monitor_pb2, monitor_pb2_grpc
from sonic.positions.v1 import positions_pb2, positions_pb2_grpc
from sonic.price.v1 import price_pb2, price_pb2_grpc
from sonic.xcom.v1 import xcom_pb2, xcom_pb2_grpc

from services.cyclone.sleep.domain import (
    Facts,
    HeldPosition,
    NotifyChannel,
    Part,
    QuietHours,
    Raised,
    SilentWindow,
)
from shared.codec import from_timestamp, number
from shared.errors import SonicError
from shared.rpc.client import Channel

_SECONDS = 5.0
_PAGE_SIZE = 500
# Beyond so many only the nearest are looked at closely; that is said.
_MOST_PAGES = 20
_POSITION_FIELDS = (
    "wallet",
    "asset",
    "side",
    "status",
    "liquidation_distance_percent",
    "liquidation_probability",
    "risk_liquidation_price_usd",
    "flags",
)
_GOOD_PRICES = frozenset(
    {price_pb2.QUALITY_GOOD, price_pb2.QUALITY_SINGLE, price_pb2.QUALITY_CLOSED}
)
_HELD = frozenset({alerts_pb2.ALERT_STATUS_ACKNOWLEDGED, alerts_pb2.ALERT_STATUS_SILENCED})
# With one of these an absent distance is not the absence of a liquidation price.
_DOUBTS = frozenset(
    {
        positions_pb2.FLAG_CANNOT_JUDGE,
        positions_pb2.FLAG_MARK_MISSING,
        positions_pb2.FLAG_ROW_REFUSED,
        positions_pb2.FLAG_ACCOUNT_MODE_UNKNOWN,
    }
)


class SleepClient:
    """Asks all of them at once; what one does not answer is named in `unread`."""

    def __init__(self, channels: Mapping[str, Channel]) -> None:
        self._positions = channels["positions"].stub(positions_pb2_grpc.PositionsServiceStub)
        self._alerts = channels["alerts"].stub(alerts_pb2_grpc.AlertsServiceStub)
        self._price = channels["price"].stub(price_pb2_grpc.PriceServiceStub)
        self._monitor = channels["monitor"].stub(monitor_pb2_grpc.MonitorServiceStub)
        self._xcom = channels["xcom"].stub(xcom_pb2_grpc.XComServiceStub)
        self._levels = channels["xcom"].stub(xcom_pb2_grpc.ChannelsServiceStub)
        self._escalation = channels["xcom"].stub(xcom_pb2_grpc.EscalationServiceStub)
        self._windows = channels["xcom"].stub(xcom_pb2_grpc.WindowsServiceStub)

    async def read(self) -> Facts:
        """All but the cycle's own."""
        reads: list[tuple[Callable[[], Awaitable[dict[str, Any]]], tuple[Part, ...]]] = [
            (self._read_positions, (Part.LIQUIDATION, Part.PROBABILITY, Part.POSITIONS)),
            (self._read_alerts, (Part.ALERTS, Part.HELD)),
            (self._read_channels, (Part.CHANNELS, Part.QUIET_HOURS)),
            (self._read_escalation, (Part.ESCALATION,)),
            (self._read_windows, (Part.HELD,)),
            (self._read_prices, (Part.PRICES,)),
            (self._read_monitors, (Part.MONITORS,)),
        ]
        answers = await asyncio.gather(*(_tried(read) for read, _ in reads))
        found: dict[str, Any] = {}
        unread: dict[Part, str] = {}
        for (_, parts), answer in zip(reads, answers, strict=True):
            if isinstance(answer, str):
                unread |= dict.fromkeys(parts, answer)
            else:
                found |= answer
        return Facts(**found, unread=unread)

    async def _read_positions(self) -> dict[str, Any]:
        held: list[HeldPosition] = []
        unwatched: Sequence[str] = ()
        request = positions_pb2.ListPositionsRequest(
            page_size=_PAGE_SIZE, order_by="liquidation_distance_percent"
        )
        request.read_mask.paths.extend(_POSITION_FIELDS)
        for _ in range(_MOST_PAGES):
            answer = await self._positions.ListPositions(request, timeout=_SECONDS)
            held += map(_held_position, answer.positions)
            unwatched = tuple(answer.unwatched) or unwatched
            request.page_token = answer.next_page_token
            if not request.page_token:
                break
        return {"positions": held, "unwatched": unwatched}

    async def _read_alerts(self) -> dict[str, Any]:
        """Danger comes before news, so its end is found."""
        raised: list[Raised] = []
        request = alerts_pb2.ListAlertsRequest(page_size=_PAGE_SIZE, min_level=alerts_pb2.LEVEL_LOW)
        for _ in range(_MOST_PAGES):
            answer = await self._alerts.ListAlerts(request, timeout=_SECONDS)
            raised += [_raised(alert) for alert in answer.alerts if not alert.is_news]
            request.page_token = answer.next_page_token
            if not request.page_token or any(alert.is_news for alert in answer.alerts):
                break
        return {"raised": raised}

    async def _read_channels(self) -> dict[str, Any]:
        channels, levels = await asyncio.gather(
            self._xcom.ListChannels(xcom_pb2.ListChannelsRequest(), timeout=_SECONDS),
            self._levels.GetLevelMap(xcom_pb2.GetLevelMapRequest(), timeout=_SECONDS),
        )
        usable = [one for one in channels.channels if one.configured and one.enabled]
        wanted = {
            name
            for route in levels.routes
            if route.level == xcom_pb2.LEVEL_HIGH
            for name in route.channels
        }
        # A level whose channels are not set uses every channel that is.
        chosen = [one for one in usable if one.name in wanted] or usable
        return {"channels": [_channel(one) for one in chosen]}

    async def _read_escalation(self) -> dict[str, Any]:
        request = xcom_pb2.GetEscalationChainRequest()
        chain = await self._escalation.GetEscalationChain(request, timeout=_SECONDS)
        return {"contact_count": len(chain.contacts)}

    async def _read_windows(self) -> dict[str, Any]:
        request = xcom_pb2.ListMaintenanceWindowsRequest()
        answer = await self._windows.ListMaintenanceWindows(request, timeout=_SECONDS)
        return {
            "windows": [window for one in answer.maintenance_windows if (window := _window(one))]
        }

    async def _read_prices(self) -> dict[str, Any]:
        answer = await self._price.ListPrices(price_pb2.ListPricesRequest(), timeout=_SECONDS)
        doubtful = [
            f"{one.asset} {price_pb2.Quality.Name(one.quality).removeprefix('QUALITY_')}"
            for one in answer.prices
            if one.stale or one.quality not in _GOOD_PRICES
        ]
        return {"doubtful_prices": doubtful}

    async def _read_monitors(self) -> dict[str, Any]:
        request = monitor_pb2.ListMonitorsRequest()
        answer = await self._monitor.ListMonitors(request, timeout=_SECONDS)
        troubled = [
            f"{one.name} {monitor_pb2.Health.Name(one.health).removeprefix('HEALTH_')}"
            for one in answer.monitors
            if one.enabled and one.health in (monitor_pb2.HEALTH_ERROR, monitor_pb2.HEALTH_OFFLINE)
        ]
        return {"troubled_monitors": troubled}


async def _tried(read: Callable[[], Awaitable[dict[str, Any]]]) -> dict[str, Any] | str:
    try:
        return await read()
    except SonicError as error:
        return error.message


def _held_position(one: positions_pb2.Position) -> HeldPosition:
    side = positions_pb2.Side.Name(one.side).removeprefix("SIDE_")
    return HeldPosition(
        f"{one.asset} {side} in {one.wallet}",
        number(one, "liquidation_distance_percent"),
        number(one, "liquidation_probability"),
        one.status == positions_pb2.STATUS_STALE,
        not one.HasField("risk_liquidation_price_usd") and not _DOUBTS.intersection(one.flags),
    )


def _raised(alert: alerts_pb2.Alert) -> Raised:
    return Raised(
        alert.description,
        alerts_pb2.Level.Name(alert.level).removeprefix("LEVEL_"),
        alert.status in _HELD,
        from_timestamp(alert, "held_until_time"),
    )


def _channel(one: xcom_pb2.Channel) -> NotifyChannel:
    times = [from_timestamp(one, name) for name in ("last_sent_time", "verified_time")]
    quiet = one.quiet_hours if one.HasField("quiet_hours") else None
    return NotifyChannel(
        one.name,
        one.health in (xcom_pb2.CHANNEL_HEALTH_FAILING, xcom_pb2.CHANNEL_HEALTH_DEAD),
        max((time for time in times if time is not None), default=None),
        QuietHours(quiet.start_minute, quiet.end_minute, quiet.time_zone) if quiet else None,
    )


def _window(one: xcom_pb2.MaintenanceWindow) -> SilentWindow | None:
    start, end = from_timestamp(one, "start_time"), from_timestamp(one, "end_time")
    if start is None or end is None:
        return None
    return SilentWindow(one.name or one.id, start, end, one.holds_high)
