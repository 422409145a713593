"""What the other services say of the night to come."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from sonic.alerts.v1 import alerts_pb2, alerts_pb2_grpc
from sonic.monitor.v1 import monitor_pb2, monitor_pb2_grpc
from sonic.positions.v1 import positions_pb2, positions_pb2_grpc
from sonic.price.v1 import price_pb2, price_pb2_grpc
from sonic.xcom.v1 import xcom_pb2, xcom_pb2_grpc

from services.cyclone.clients.sleep_mapping import (
    distance_limits,
    estimated_account,
    held_position,
    is_spot,
    judges,
    raised_alert,
    silent_window,
    trouble_of,
    way_of,
)
from services.cyclone.clients.venue_states import troubled_venues
from services.cyclone.sleep.domain.facts import (
    Carry,
    Facts,
    HeldPosition,
    OwnRoute,
    Part,
    Raised,
    WatchedWallet,
)
from shared.codec import from_timestamp, number
from shared.errors import SonicError
from shared.names import normalise
from shared.rpc.client import Channel

_SECONDS = 5.0
_PAGE_SIZE = 500
# Beyond so many only the nearest are looked at closely; that is said.
_MOST_PAGES = 20
_POSITION_FIELDS = (
    "id",
    "wallet",
    "asset",
    "side",
    "status",
    "liquidation_distance_percent",
    "estimated_liquidation_distance_percent",
    "liquidation_probability",
    "risk_liquidation_price_usd",
    "flags",
)
# What says that a position comes near its end.
_GUARDS = (
    alerts_pb2.ALERT_TYPE_LIQUIDATION_DISTANCE,
    alerts_pb2.ALERT_TYPE_LIQUIDATION_PROBABILITY,
    alerts_pb2.ALERT_TYPE_TRAVEL_PERCENT,
    alerts_pb2.ALERT_TYPE_HEAT_INDEX,
)
_LIMITED = (*_GUARDS, alerts_pb2.ALERT_TYPE_ACCOUNT_DISTANCE)
_GUARD_FIELDS = ("id", "position_id", "status", "reading_state", "channels", "description")


class SleepClient:
    """Asks all of them at once; what one does not answer is named in `unread`."""

    def __init__(self, channels: Mapping[str, Channel], tell_channels: Sequence[str]) -> None:
        self._tell_channels = tell_channels
        self._risk = channels["positions"].stub(positions_pb2_grpc.RiskServiceStub)
        self._positions = channels["positions"].stub(positions_pb2_grpc.PositionsServiceStub)
        self._accounts = channels["positions"].stub(positions_pb2_grpc.AccountsServiceStub)
        self._alerts = channels["alerts"].stub(alerts_pb2_grpc.AlertsServiceStub)
        self._thresholds = channels["alerts"].stub(alerts_pb2_grpc.ThresholdsServiceStub)
        self._wallets = channels["positions"].stub(positions_pb2_grpc.WalletsServiceStub)
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
            (self._read_accounts, (Part.POSITIONS,)),
            (self._read_set_aside, (Part.POSITIONS,)),
            (self._read_wallets, (Part.POSITIONS,)),
            (self._read_raised, (Part.ALERTS, Part.HELD)),
            (self._read_silenced, (Part.HELD,)),
            (self._read_evaluation, (Part.ALERTS,)),
            (self._read_ways, (Part.ALERTS, Part.CHANNELS, Part.ESCALATION, Part.QUIET_HOURS)),
            (self._read_carries, (Part.PROBABILITY,)),
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
        """What cannot be judged first, then the nearest."""
        held: list[HeldPosition] = []
        unwatched: Sequence[str] = ()
        request = positions_pb2.ListPositionsRequest(page_size=_PAGE_SIZE, order_by="worst")
        request.read_mask.paths.extend(_POSITION_FIELDS)
        for _ in range(_MOST_PAGES):
            answer = await self._positions.ListPositions(request, timeout=_SECONDS)
            # Nothing liquidates a spot balance: a night takes none of it.
            held += [held_position(one) for one in answer.positions if not is_spot(one)]
            unwatched = tuple(answer.unwatched) or unwatched
            request.page_token = answer.next_page_token
            if not request.page_token:
                break
        is_part = bool(request.page_token)
        return {"positions": held, "unwatched": unwatched, "is_part": is_part}

    async def _read_accounts(self) -> dict[str, Any]:
        """Accounts that are judged, if only their figures were known, and what is estimated."""
        request = alerts_pb2.ListAlertsRequest(type=alerts_pb2.ALERT_TYPE_ACCOUNT_DISTANCE)
        found = [
            f"{one.account} of {one.wallet}"
            for one in await self._all_alerts(request)
            if not judges(one) and one.status != alerts_pb2.ALERT_STATUS_INACTIVE
        ]
        estimated = await self._estimated_accounts() if found else []
        return {"unknown_accounts": [*dict.fromkeys(found), *estimated]}

    async def _estimated_accounts(self) -> list[str]:
        """What is put together of accounts that are not known; none is said where it is not."""
        request = positions_pb2.ListAccountsRequest(page_size=_PAGE_SIZE)
        with suppress(SonicError):
            answer = await self._accounts.ListAccounts(request, timeout=_SECONDS)
            return [estimated_account(one) for one in answer.accounts if one.estimate_only]
        return []

    async def _read_set_aside(self) -> dict[str, Any]:
        """Positions that a person set aside, and whether all of it is simulated."""
        request = positions_pb2.ListPositionsRequest(
            page_size=_PAGE_SIZE, status=positions_pb2.STATUS_INACTIVE
        )
        request.read_mask.paths.extend(_POSITION_FIELDS)
        answer, mode = await asyncio.gather(
            self._positions.ListPositions(request, timeout=_SECONDS),
            self._positions.GetMode(positions_pb2.GetModeRequest(), timeout=_SECONDS),
        )
        return {
            "set_aside": [held_position(one).about for one in answer.positions],
            "is_simulated": mode.mode != positions_pb2.MODE_LIVE,
        }

    async def _read_wallets(self) -> dict[str, Any]:
        request = positions_pb2.ListWalletsRequest(page_size=_PAGE_SIZE, active_only=True)
        found: list[WatchedWallet] = []
        while True:
            answer = await self._wallets.ListWallets(request, timeout=_SECONDS)
            # What is entered by hand has no venue that could be read.
            found += [
                WatchedWallet(
                    one.name,
                    one.last_sync_state == positions_pb2.WALLET_SYNC_STATE_COMPLETE,
                    from_timestamp(one, "last_sync_time"),
                )
                for one in answer.wallets
                if one.chain != positions_pb2.CHAIN_MANUAL
            ]
            request.page_token = answer.next_page_token
            if not request.page_token:
                return {"wallets": found}

    async def _read_raised(self) -> dict[str, Any]:
        """Danger comes before news, so its end is found."""
        raised: list[Raised] = []
        request = alerts_pb2.ListAlertsRequest(page_size=_PAGE_SIZE, min_level=alerts_pb2.LEVEL_LOW)
        for _ in range(_MOST_PAGES):
            answer = await self._alerts.ListAlerts(request, timeout=_SECONDS)
            raised += [raised_alert(alert) for alert in answer.alerts if not alert.is_news]
            request.page_token = answer.next_page_token
            if not request.page_token or any(alert.is_news for alert in answer.alerts):
                break
        return {"raised": raised}

    async def _read_silenced(self) -> dict[str, Any]:
        """A silence holds what is still to come."""
        silenced = await self._all_alerts(
            alerts_pb2.ListAlertsRequest(status=alerts_pb2.ALERT_STATUS_SILENCED)
        )
        normal = [one for one in silenced if one.level <= alerts_pb2.LEVEL_NORMAL]
        return {"silenced": [raised_alert(one) for one in normal if not one.is_news]}

    async def _read_evaluation(self) -> dict[str, Any]:
        summary = await self._alerts.GetSummary(alerts_pb2.GetSummaryRequest(), timeout=_SECONDS)
        return {"evaluated_time": from_timestamp(summary, "evaluated_time")}

    async def _all_alerts(self, request: alerts_pb2.ListAlertsRequest) -> list[alerts_pb2.Alert]:
        """Of more than so many pages the rest is not known: who judges them then is nobody."""
        found: list[alerts_pb2.Alert] = []
        request.page_size = _PAGE_SIZE
        for _ in range(_MOST_PAGES):
            answer = await self._alerts.ListAlerts(request, timeout=_SECONDS)
            found += answer.alerts
            request.page_token = answer.next_page_token
            if not request.page_token:
                break
        return found

    async def _all_thresholds(self) -> list[alerts_pb2.Threshold]:
        found: list[alerts_pb2.Threshold] = []
        request = alerts_pb2.ListThresholdsRequest(page_size=_PAGE_SIZE)
        while True:
            answer = await self._thresholds.ListThresholds(request, timeout=_SECONDS)
            found += answer.thresholds
            request.page_token = answer.next_page_token
            if not request.page_token:
                return found

    async def _read_ways(self) -> dict[str, Any]:
        """Who judges what, and whom that reaches."""
        requests = [alerts_pb2.ListAlertsRequest(type=one) for one in _GUARDS]
        for request in requests:
            request.read_mask.paths.extend(_GUARD_FIELDS)
        channels, levels, chain, thresholds, guards = await asyncio.gather(
            self._xcom.ListChannels(xcom_pb2.ListChannelsRequest(), timeout=_SECONDS),
            self._levels.GetLevelMap(xcom_pb2.GetLevelMapRequest(), timeout=_SECONDS),
            self._escalation.GetEscalationChain(
                xcom_pb2.GetEscalationChainRequest(), timeout=_SECONDS
            ),
            self._all_thresholds(),
            asyncio.gather(*map(self._all_alerts, requests)),
        )
        usable = [one for one in channels.channels if one.configured and one.enabled]
        names = {one.name for one in usable}
        # As xcom reads them: Telegram is telegram.
        every = {normalise(one.name) for one in channels.channels}
        wanted = {
            name
            for route in levels.routes
            if route.level == xcom_pb2.LEVEL_HIGH
            for name in route.channels
        }
        limits = [one for one in thresholds if one.enabled and one.type in _LIMITED]
        judging = [[one for one in alerts if judges(one)] for alerts in guards]
        own = [(one.id, one.high_channels) for one in limits]
        own += [(one.description, one.channels) for alerts in judging for one in alerts]
        return {
            "channels": way_of(usable, wanted),
            "no_channels": [n for n in self._tell_channels if normalise(n) not in every],
            "own_routes": [
                OwnRoute(about, way_of(usable, set(chosen))) for about, chosen in own if chosen
            ],
            "never_high": [one.id for one in limits if not one.HasField("high")],
            "distance_limits": distance_limits(thresholds),
            "distance_ids": {one.position_id for one in judging[0]},
            "judged_ids": {one.position_id for alerts in judging for one in alerts},
            "contact_count": sum(
                any(route.channel in names for route in contact.routes)
                for contact in chain.contacts
            ),
        }

    async def _read_carries(self) -> dict[str, Any]:
        answer = await self._risk.GetCarry(positions_pb2.GetCarryRequest(), timeout=_SECONDS)
        return {
            "carries": {
                one.position_id: Carry(
                    number(one, "carry_usd_per_hour"), number(one, "hours_to_liquidation")
                )
                for one in answer.carries
            }
        }

    async def _read_windows(self) -> dict[str, Any]:
        request = xcom_pb2.ListMaintenanceWindowsRequest()
        answer = await self._windows.ListMaintenanceWindows(request, timeout=_SECONDS)
        found = map(silent_window, answer.maintenance_windows)
        return {"windows": [window for window in found if window]}

    async def _read_prices(self) -> dict[str, Any]:
        request = price_pb2.ListPricesRequest(page_size=_PAGE_SIZE)
        prices: list[price_pb2.Price] = []
        while True:
            answer = await self._price.ListPrices(request, timeout=_SECONDS)
            prices += answer.prices
            request.page_token = answer.next_page_token
            if not request.page_token:
                break
        doubtful = [
            f"{one.asset} {price_pb2.Quality.Name(one.quality).removeprefix('QUALITY_')}"
            for one in prices
            if one.stale
        ]
        return {"doubtful_prices": doubtful if prices else ["no price is known"]}

    async def _read_monitors(self) -> dict[str, Any]:
        request = monitor_pb2.ListMonitorsRequest()
        answer = await self._monitor.ListMonitors(request, timeout=_SECONDS)
        said = [(one.name, trouble_of(one)) for one in answer.monitors]
        venues = [words for one in answer.monitors for words in troubled_venues(one)]
        troubles = [f"{name} {trouble}" for name, trouble in said if trouble]
        return {"troubled_monitors": [*venues, *troubles]}


async def _tried(read: Callable[[], Awaitable[dict[str, Any]]]) -> dict[str, Any] | str:
    try:
        return await read()
    except SonicError as error:
        return error.message
