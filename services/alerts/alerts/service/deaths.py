"""Deaths: a service or the cycle does not live. Raised once, always HIGH; its end is notified."""

from __future__ import annotations

from dataclasses import replace

from services.alerts.alerts.domain.change_payload import ChangeContext
from services.alerts.alerts.domain.views import Alert, show
from services.alerts.alerts.service.reported import find, opened, turn
from services.alerts.domain.kinds import DEATH_KIND, Level
from services.alerts.service.commits import Commits
from services.alerts.service.ports import PositionsPeer
from services.alerts.service.snapshot_cache import SnapshotCache
from shared.clock import micros_of
from shared.database.fence import Step
from shared.errors import Unavailable


class Deaths:
    """DEATH_NAIL alerts, idempotent by incident; the fence only keeps paused callers out."""

    def __init__(self, cache: SnapshotCache, commits: Commits, positions: PositionsPeer) -> None:
        self._cache = cache
        self._commits = commits
        self._positions = positions

    async def raise_death(self, step: Step, incident: str, summary: str) -> Alert:
        """The alert of the incident, raised unless it is already; notified once."""
        demo = await self._is_demo()
        async with self._commits.edit(step) as edit:
            snapshot, state = edit.snapshot, edit.snapshot.service_state
            case = await find(edit.store, snapshot.columns, DEATH_KIND, incident)
            if case is None or case.level is not Level.HIGH:
                state = replace(state, demo=state.demo if demo is None else demo)
                context = ChangeContext(step.cycle_id, state.demo, self._now_micros())
                if case is None:
                    case, state = opened(snapshot.columns, state, DEATH_KIND, incident, context)
                case = replace(case, subject=case.subject._replace(summary=summary))
                case = await turn(edit, state, case, Level.HIGH, context, self._cache.clock)
            return show(case.columns, snapshot.tables, [case.row], [case.subject])[0]

    async def resolve_death(self, step: Step, incident: str) -> bool:
        """Whether an incident ended now; its recovery is notified once."""
        async with self._commits.edit(step) as edit:
            state = edit.snapshot.service_state
            case = await find(edit.store, edit.snapshot.columns, DEATH_KIND, incident)
            if case is None or case.level is Level.NORMAL:
                return False
            context = ChangeContext(step.cycle_id, state.demo, self._now_micros())
            await turn(edit, state, case, Level.NORMAL, context, self._cache.clock)
        return True

    def _now_micros(self) -> int:
        return micros_of(self._cache.clock.now())

    async def _is_demo(self) -> bool | None:
        """None when positions cannot be asked: it may be the one that died."""
        try:
            return await self._positions.is_demo()
        except Unavailable:
            return None
