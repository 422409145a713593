"""What the simulated market raised ends with it: no level of the demo is shown of real money."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.alerts.alerts.domain.alert_columns import AlertColumns
from services.alerts.alerts.service.endings import ended, quiet_entries, without
from services.alerts.domain.kinds import AlertClass
from services.alerts.service.commits import Commits
from services.alerts.service.ports import PositionsPeer
from services.alerts.service.snapshot_cache import SnapshotCache
from services.alerts.store.service_state import ServiceState
from services.alerts.store.unit_of_work import Store
from shared.clock import micros_of
from shared.database.fence import Step
from shared.errors import Unavailable
from shared.log import get_logger

# As positions calls them.
DEMO_WALLETS: Final = ("demo-main", "demo-hedge")


class DemoEnd:
    """Once, when positions says that it is live and alerts still stand by the demo."""

    def __init__(self, cache: SnapshotCache, commits: Commits, positions: PositionsPeer) -> None:
        self._cache = cache
        self._commits = commits
        self._positions = positions

    async def forget(self, step: Step, membership_epoch: int | None) -> int:
        """Deletes alerts of simulated positions and accounts that are gone, and of the portfolio,
        which are made anew without a level; nobody is told, and what rang is quiet. How many.

        Those of prices stay, and those of the portfolio that a person made. Raises StaleEpoch,
        EpochAhead.
        """
        snapshot = self._cache.last() or await self._cache.present()
        if not _may_be_over(snapshot.service_state, snapshot.columns, membership_epoch):
            return 0
        try:
            if await self._positions.is_demo():
                return 0
            _, held = await self._positions.present()
        except Unavailable as error:
            get_logger().warning("whether this is the demo is not known", reason=error.reason)
            return 0
        async with self._commits.edit(step) as edit:
            snapshot, columns = edit.snapshot, edit.snapshot.columns
            now = self._cache.clock.now()
            rows = await _of_demo(edit.store, columns, held)
            made = await ended(edit.store, columns, rows, snapshot, step, micros_of(now))
            entries = quiet_entries(columns, rows, made, columns.without(rows), now, "demo end")
            state = replace(snapshot.service_state, demo=False, complete=False)
            await edit.write(without(None, state, columns, rows, entries))
        return len(rows)


def _may_be_over(state: ServiceState, columns: AlertColumns, membership_epoch: int | None) -> bool:
    """The positions of a demo end with it, so that nobody is asked while the same are held."""
    if not state.demo:
        return False
    is_held = bool((columns.alert_class == AlertClass.POSITION).any())
    return membership_epoch is None or membership_epoch != state.membership_epoch or not is_held


async def _of_demo(
    store: Store, columns: AlertColumns, held: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Real positions may end in the very look in which the demo does: those are told as ever."""
    of_one = np.isin(columns.alert_class, (AlertClass.POSITION, AlertClass.ACCOUNT))
    gone = of_one & ~np.isin(columns.subject_key, held)
    subjects = await store.subjects.read(np.unique(columns.subject_key[gone]))
    simulated = [key for key, subject in subjects.items() if subject.wallet in DEMO_WALLETS]
    of_all = (columns.alert_class == AlertClass.PORTFOLIO) & columns.automatic
    return np.flatnonzero((gone & np.isin(columns.subject_key, simulated)) | of_all)
