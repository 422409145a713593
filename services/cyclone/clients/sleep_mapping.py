"""Messages of other services as facts of the night."""

from __future__ import annotations

from collections.abc import Sequence

from sonic.alerts.v1 import alerts_pb2
from sonic.monitor.v1 import monitor_pb2
from sonic.positions.v1 import positions_pb2
from sonic.xcom.v1 import xcom_pb2

from services.cyclone.sleep.domain.facts import (
    HeldPosition,
    NotifyChannel,
    QuietHours,
    Raised,
    SilentWindow,
)
from shared.codec import from_timestamp, number

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
_SIGNS = {positions_pb2.SIDE_LONG: 1, positions_pb2.SIDE_SHORT: -1}
_STALE = frozenset({positions_pb2.FLAG_MARK_STALE, positions_pb2.FLAG_ROW_REFUSED})
_DOUBTFUL = frozenset(
    {
        positions_pb2.FLAG_LIQUIDATION_ON_WRONG_SIDE,
        positions_pb2.FLAG_MARK_PRICE_DISAGREES,
        positions_pb2.FLAG_ACCOUNT_MODE_UNKNOWN,
        positions_pb2.FLAG_MARK_FROZEN,
    }
)
# These get nobody told for sure; with them alone everything else is used as well.
_UNSURE = frozenset({"log", "sound"})
# Their concerns are those of ALERTS, or only kept: that they rest or warn is told there or not.
_QUIET_MONITORS = frozenset(
    {"profit", "risk", "liquidation", "market", "latency", "twilio", "stream", "withdrawals"}
)


def held_position(one: positions_pb2.Position) -> HeldPosition:
    side = positions_pb2.Side.Name(one.side).removeprefix("SIDE_")
    return HeldPosition(
        f"{one.asset} {side} in {one.wallet}",
        nearer_percent(one),
        number(one, "liquidation_probability"),
        one.status == positions_pb2.STATUS_STALE or not _STALE.isdisjoint(one.flags),
        not one.HasField("risk_liquidation_price_usd") and _DOUBTS.isdisjoint(one.flags),
        is_doubtful=not _DOUBTFUL.isdisjoint(one.flags),
        id=one.id,
        asset=one.asset,
        side_sign=_SIGNS.get(one.side, 0),
        liquidation_price_usd=number(one, "risk_liquidation_price_usd"),
    )


def estimated_account(one: positions_pb2.Account) -> str:
    """How far an account is by what is put together of its parts, in words."""
    far = number(one, "distance_percent")
    if one.reason or far is None:
        said = "not known" if one.reason else "no common move liquidates it"
    else:
        said = f"{far:.1f} % of a common move to liquidation"
    return f"{one.venue} {one.name} of {one.wallet}: {said}, ESTIMATED"


def is_spot(one: positions_pb2.Position) -> bool:
    """Whether it is a leg without a loan."""
    return positions_pb2.FLAG_SPOT in one.flags


def nearer_percent(one: positions_pb2.Position) -> float | None:
    """By the mark, or by the market where the mark stands still: whatever is nearer."""
    names = ("liquidation_distance_percent", "estimated_liquidation_distance_percent")
    known = [far for name in names if (far := number(one, name)) is not None]
    return min(known, default=None)


def distance_limits(thresholds: Sequence[alerts_pb2.Threshold]) -> dict[str, float | None]:
    """By asset: the most specific one holds, switched on or off."""
    return {
        one.asset: number(one, "high") if one.enabled else None
        for one in thresholds
        if one.type == alerts_pb2.ALERT_TYPE_LIQUIDATION_DISTANCE
        and one.condition in (alerts_pb2.CONDITION_UNSPECIFIED, alerts_pb2.CONDITION_BELOW)
    }


def judges(alert: alerts_pb2.Alert) -> bool:
    unseen = alert.reading_state in (
        alerts_pb2.READING_STATE_UNSPECIFIED,
        alerts_pb2.READING_STATE_UNKNOWN,
    )
    return alert.status != alerts_pb2.ALERT_STATUS_INACTIVE and not unseen


def trouble_of(monitor: monitor_pb2.Monitor) -> str:
    """What is amiss with it, in a word; empty when nothing is, or it has nothing to check."""
    if monitor.resting_reason == "NOT_CONFIGURED":
        return ""
    if monitor.enabled and monitor.health in (
        monitor_pb2.HEALTH_ERROR,
        monitor_pb2.HEALTH_OFFLINE,
    ):
        return monitor_pb2.Health.Name(monitor.health).removeprefix("HEALTH_")
    if monitor.name in _QUIET_MONITORS:
        return ""
    if not monitor.enabled:
        return "DISABLED"
    is_breach = monitor.last_run.status == monitor_pb2.RUN_STATUS_BREACH
    return "BREACH" if is_breach else monitor.resting_reason


def way_of(usable: Sequence[xcom_pb2.Channel], wanted: set[str]) -> list[NotifyChannel]:
    """As the notification service chooses: where none of them surely reaches people, all."""
    chosen = [one for one in usable if one.name in wanted]
    is_sure = any(one.name not in _UNSURE for one in chosen)
    if not chosen or not (is_sure or wanted <= _UNSURE):
        chosen = list(usable)
    return [notify_channel(one) for one in chosen]


def raised_alert(alert: alerts_pb2.Alert) -> Raised:
    return Raised(
        f"{alert.description}, {alert.wallet}" if alert.wallet else alert.description,
        alerts_pb2.Level.Name(alert.level).removeprefix("LEVEL_"),
        alert.status in _HELD,
        from_timestamp(alert, "held_until_time"),
    )


def notify_channel(one: xcom_pb2.Channel) -> NotifyChannel:
    times = [from_timestamp(one, name) for name in ("last_sent_time", "verified_time")]
    quiet = one.quiet_hours if one.HasField("quiet_hours") else None
    return NotifyChannel(
        one.name,
        one.health in (xcom_pb2.CHANNEL_HEALTH_FAILING, xcom_pb2.CHANNEL_HEALTH_DEAD),
        max((time for time in times if time is not None), default=None),
        QuietHours(quiet.start_minute, quiet.end_minute, quiet.time_zone) if quiet else None,
    )


def silent_window(one: xcom_pb2.MaintenanceWindow) -> SilentWindow | None:
    start, end = from_timestamp(one, "start_time"), from_timestamp(one, "end_time")
    if start is None or end is None:
        return None
    return SilentWindow(one.name or one.id, start, end, one.holds_high)
