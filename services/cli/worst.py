"""How it stands in a line: the worst alert, since when, who was told; what is not known."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.text import Text
from sonic.alerts.v1 import alerts_pb2, alerts_pb2_grpc
from sonic.positions.v1 import positions_pb2
from sonic.xcom.v1 import xcom_pb2, xcom_pb2_grpc

from services.cli.connection import System
from services.cli.output import LEVEL_STYLES, enum_name, short
from shared.clock import Clock, SystemClock
from shared.codec import from_timestamp
from shared.errors import SonicError

_LOG = "the log only"
_NAMES = {"sms": "SMS", "email": "e-mail", "voice": "voice call", "log": _LOG}
_NOT_KNOWN = "who was told is not known"
_ACTIVE = "ACTIVE"


async def worst_alert(system: System) -> alerts_pb2.Alert | None:
    """The first one that is raised, danger before news; raises SonicError."""
    stub = await system.stub("alerts", alerts_pb2_grpc.AlertsServiceStub)
    found = await stub.ListAlerts(
        alerts_pb2.ListAlertsRequest(page_size=1, min_level=alerts_pb2.LEVEL_LOW)
    )
    return found.alerts[0] if found.alerts else None


async def headline(system: System) -> Text:
    """The worst state in words; raises SonicError when alerts does not answer."""
    worst = await worst_alert(system)
    if worst is not None:
        return worst_line(worst, await told_words(system, worst))
    stub = await system.stub("alerts", alerts_pb2_grpc.AlertsServiceStub)
    return calm_line(await stub.GetSummary(alerts_pb2.GetSummaryRequest()))


def calm_line(summary: alerts_pb2.Summary) -> Text:
    """Of a summary in which nothing is raised: what has no reading is not calm."""
    unknown = sum(metric.unknown_count for metric in summary.metrics)
    if not summary.HasField("evaluated_time"):
        return Text("Nothing was judged yet", style="yellow")
    if unknown:
        return Text(f"Nothing is raised, but {unknown} alerts have no reading", style="yellow")
    return Text("NORMAL: no alert is raised", style=LEVEL_STYLES["NORMAL"])


def unread_words(totals: positions_pb2.Totals) -> str:
    """Where a wallet could not be read, nothing is not 0 USD: words for it, else nothing."""
    if totals.stale and not totals.position_count:
        return "What is held is not known: a wallet could not be read"
    return ""


def worst_line(worst: alerts_pb2.Alert, told: str, clock: Clock | None = None) -> Text:
    """`told`: see told_words."""
    level, status = enum_name(worst, "level"), enum_name(worst, "status")
    words = (worst.account, worst.asset, worst.side, worst.wallet)
    about = " ".join(filter(None, words)) or "portfolio"
    since = from_timestamp(worst, "last_triggered_time")
    now = (clock or SystemClock()).now()
    parts = [
        f"{level}: {about}: {worst.why.removeprefix(f'{level} ')}",
        f"for {short(now - since)}" if since else "",
        told,
        "not acknowledged" if status == _ACTIVE else status.lower(),
    ]
    return Text(", ".join(filter(None, parts)), style=LEVEL_STYLES.get(level, ""))


async def told_words(system: System, alert: alerts_pb2.Alert) -> str:
    """By which ways this incident was told, by itself or in a digest."""
    keys = [key for key in (alert.incident_id, alert.digest_id) if key]
    if not keys:
        return told_by(())
    try:
        stub = await system.stub("xcom", xcom_pb2_grpc.XComServiceStub)
        found = await stub.ListMessages(
            xcom_pb2.ListMessagesRequest(page_size=100, incident_keys=keys)
        )
    except SonicError:
        return _NOT_KNOWN
    return told_by([one for message in found.messages for one in message.deliveries])


def told_by(deliveries: Iterable[xcom_pb2.Delivery]) -> str:
    """`told by SMS and e-mail`, `not told: SMS failed`, `told nobody`."""
    rows = [(enum_name(one, "state"), _NAMES.get(one.channel, one.channel)) for one in deliveries]

    def by(*states: str) -> list[str]:
        return list(dict.fromkeys(name for state, name in rows if state in states))

    sent, dead, handed = by("SENT"), by("DEAD"), by("HANDED_OVER")
    heard, waiting = [name for name in sent if name != _LOG], by("QUEUED", "GROUPED")
    if heard:
        return f"told by {_listed(heard)}" + (f", not by {_listed(dead)}: failed" if dead else "")
    if handed:
        return f"handed to {_listed(handed)}: whether it arrived is not known yet"
    if waiting:
        return f"not told yet: {_listed(waiting)} waiting"
    if dead:
        return f"not told: {_listed(dead)} failed"
    return "told nobody" + (": written to the log only" if sent else "")


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
