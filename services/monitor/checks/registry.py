"""Every check by name: the built-in ones, and those of others by the entry point group
`sonic.monitors`.

An entry point names a class (or a function) that gives a Check when called without arguments.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from importlib.metadata import EntryPoint, entry_points

from services.monitor.checks import Check, CheckContext
from services.monitor.checks.backup import BackupCheck
from services.monitor.checks.certificates import CertificatesCheck
from services.monitor.checks.disk import DiskCheck
from services.monitor.checks.heartbeat import HeartbeatCheck
from services.monitor.checks.latency import LatencyCheck
from services.monitor.checks.liquidation import LiquidationCheck
from services.monitor.checks.market import MarketCheck
from services.monitor.checks.operations import OperationsCheck
from services.monitor.checks.position import PositionCheck
from services.monitor.checks.price import PriceCheck
from services.monitor.checks.profit import ProfitCheck
from services.monitor.checks.risk import RiskCheck
from services.monitor.checks.storage import StorageCheck
from services.monitor.checks.stream import StreamCheck
from services.monitor.checks.twilio import TwilioCheck
from services.monitor.checks.venue import VenueCheck
from services.monitor.checks.withdrawals import WithdrawalsCheck
from services.monitor.checks.xcom import XComCheck
from services.monitor.domain.findings import Finding
from services.monitor.domain.settings import Defaults
from shared.errors import Internal
from shared.log import get_logger

GROUP = "sonic.monitors"
_BUILT_IN = (
    *(PriceCheck, PositionCheck, ProfitCheck, RiskCheck, LiquidationCheck, MarketCheck),
    VenueCheck,
    *(OperationsCheck, DiskCheck, StorageCheck, LatencyCheck, XComCheck, TwilioCheck),
    *(BackupCheck, CertificatesCheck, StreamCheck),
    *(WithdrawalsCheck, HeartbeatCheck),
)
NAMES = tuple(check.name for check in _BUILT_IN)
_BROKEN_INTERVAL = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Registered:
    """A check with what it brings. `origin`: the object of others it came from, "" if built in."""

    name: str
    description: str
    check: Check
    defaults: Defaults
    every_cycle: bool = False
    outside: bool = False
    origin: str = ""


class BrokenCheck(Check):
    """Stands for a check of others that cannot be used: each run is an ERROR row that says why."""

    every_cycle = False
    outside = True

    def __init__(self, name: str, problem: str) -> None:
        self.name = name
        self.description = "Cannot be used"
        self.interval = _BROKEN_INTERVAL
        self._problem = problem

    async def run(self, context: CheckContext) -> Finding:
        """Raises what is wrong with it."""
        raise Internal("INTERNAL", self._problem)


def registry(
    latency: LatencyCheck | None = None,
    heartbeat: HeartbeatCheck | None = None,
    plugins: Iterable[EntryPoint] = (),
) -> dict[str, Registered]:
    """Every check by name; one of others never takes the place of a built-in one."""
    made = {check.name: check() for check in _BUILT_IN}
    made |= {check.name: check for check in (latency, heartbeat) if check is not None}
    found = {name: _registered(name, check) for name, check in made.items()}
    for point in plugins:
        name = point.name.strip().lower()
        if name in found:
            get_logger().error(
                "monitor of others has a name that is taken", monitor=name, origin=point.value
            )
            continue
        found[name] = _registered(name, _load(name, point), point.value)
    return found


def plugins() -> tuple[EntryPoint, ...]:
    """The entry points that are installed; their code is not run yet."""
    return tuple(entry_points(group=GROUP))


def _load(name: str, point: EntryPoint) -> Check:
    try:
        check: Check = point.load()()
        problem = _problem(check, name)
        if not problem:
            return check
    except (Exception, SystemExit) as error:  # noqa: BLE001  code of others must not keep monitor from starting
        problem = f"{point.value} cannot be loaded: {type(error).__name__}: {error}"
    get_logger().error("monitor of others is broken", monitor=name, problem=problem)
    return BrokenCheck(name, problem)


def _problem(check: Check, name: str) -> str:
    """What keeps it from being a Check; empty when nothing does."""
    if getattr(check, "name", name).strip().lower() != name:
        return f"its name {check.name!r} is not that of its entry point"
    interval = getattr(check, "interval", None)
    if not isinstance(interval, timedelta) or interval <= timedelta():
        return "its interval is no positive timedelta"
    if not inspect.iscoroutinefunction(getattr(check, "run", None)):
        return "it has no `async def run(self, context)`"
    return ""


def _registered(name: str, check: Check, origin: str = "") -> Registered:
    threshold = getattr(check, "threshold_percent", None)
    return Registered(
        name=name,
        description=str(getattr(check, "description", "")),
        check=check,
        defaults=Defaults(
            check.interval,
            threshold,
            bool(getattr(check, "takes_threshold", threshold is not None)),
            retry
            if isinstance(retry := getattr(check, "retry_interval", None), timedelta)
            else None,
        ),
        every_cycle=bool(getattr(check, "every_cycle", False)),
        outside=bool(getattr(check, "outside", False)),
        origin=origin,
    )
