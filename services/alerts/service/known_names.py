"""What edits may name: channels of the notification service, assets that cycles price."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from services.alerts.domain.kinds import AlertClass
from services.alerts.service.ports import Notifier
from services.alerts.service.snapshot_cache import Snapshot
from services.alerts.store.service_state import ServiceState
from services.alerts.thresholds.domain import Scope
from shared.clock import Clock
from shared.errors import InvalidArgument, Unavailable

# The notification service learns no channel while it runs.
_FRESH_SECONDS = 60.0


class Channels:
    """The names of channels, asked for when somebody names one."""

    def __init__(self, notifier: Notifier, clock: Clock) -> None:
        self._notifier = notifier
        self._clock = clock
        self._names: Sequence[str] = ()
        self._until_seconds = float("-inf")

    async def check(self, names: Iterable[str], before: Collection[str], field: str) -> None:
        """UNKNOWN_NAME for one that is not known, with those that are; what stood there before may
        stay.

        XCOM_UNAVAILABLE when nobody ever said which there are, and nobody can be asked.
        """
        wanted = [name for name in names if name not in before]
        if not wanted:
            return
        known = await self._known()
        unknown = [name for name in wanted if name not in known]
        if unknown:
            problem = f"no channel {', '.join(unknown)[:200]}; one of {', '.join(known)}"
            raise InvalidArgument("UNKNOWN_NAME", f"{field}: {problem}", fields={field: problem})

    async def _known(self) -> Sequence[str]:
        if self._clock.monotonic() >= self._until_seconds:
            try:
                self._names = sorted(await self._notifier.channels())
            except Unavailable:
                if not self._names:
                    raise
            self._until_seconds = self._clock.monotonic() + _FRESH_SECONDS
        return self._names


def check_asset(asset: str, service_state: ServiceState, field: str) -> None:
    """UNKNOWN_NAME for an asset whose price no cycle brings; unknown before the first cycle."""
    _check_asset(asset, service_state.tracked_assets, field)


def check_scope_asset(scope: Scope, snapshot: Snapshot, field: str) -> None:
    """A price limit needs a price; a limit of positions a price, or a position that is held."""
    if scope.asset and snapshot.service_state.tracked_assets:
        _check_asset(scope.asset, _assets(scope, snapshot), field)


def known_scope(scope: Scope, snapshot: Snapshot) -> Scope:
    """With its asset as a venue, the prices or a threshold of the kind spell it."""
    return snapshot.thresholds.as_spelled(scope, _assets(scope, snapshot))


def _assets(scope: Scope, snapshot: Snapshot) -> set[str]:
    known, columns = set(snapshot.service_state.tracked_assets), snapshot.columns
    if scope.alert_class is AlertClass.POSITION:
        held = columns.asset_key[columns.alert_class == AlertClass.POSITION]
        known |= {columns.assets[key] for key in set(held.tolist())}
    return known


def _check_asset(asset: str, known: Collection[str], field: str) -> None:
    if known and asset not in known:
        problem = f"{asset[:40]} is not tracked; one of {', '.join(sorted(known))[:500]}"
        raise InvalidArgument("UNKNOWN_NAME", f"{field}: {problem}", fields={field: problem})
