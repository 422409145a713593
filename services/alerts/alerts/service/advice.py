"""Advice about supply, as the withdrawals service reports it: two alerts of an asset.

That it may be withdrawn is news and LOW; that the peg is lost is danger and MEDIUM.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from services.alerts.alerts.domain.change_payload import ChangeContext
from services.alerts.alerts.service.reported import find, opened, turn
from services.alerts.domain.kinds import DEPEG_KIND, WITHDRAW_KIND, Level
from services.alerts.service.commits import Commits
from services.alerts.service.snapshot_cache import SnapshotCache
from shared.clock import micros_of
from shared.database.fence import Step


@dataclass(frozen=True, slots=True)
class ReportedDecision:
    """What is advised about an asset now; texts in one line each."""

    request_id: str
    asset: str
    may_withdraw: bool
    depegged: bool
    summary: str
    peg_summary: str
    demo: bool
    decision_epoch: int = 0


class Advice:
    """Idempotent: what is so already is not notified again."""

    def __init__(self, cache: SnapshotCache, commits: Commits) -> None:
        self._cache = cache
        self._commits = commits

    async def report(self, decision: ReportedDecision) -> None:
        """Raise and end the two alerts of the asset as it is now. StaleEpoch: an older decision
        than the last one reported, by a relay that was paused; EpochAhead.
        """
        wanted = (
            (WITHDRAW_KIND, Level.LOW, decision.may_withdraw, decision.summary),
            (DEPEG_KIND, Level.MEDIUM, decision.depegged, decision.peg_summary),
        )
        for kind, level, is_so, summary in wanted:
            await self._set(decision, kind, level if is_so else Level.NORMAL, summary)

    async def _set(self, decision: ReportedDecision, kind: int, level: Level, summary: str) -> None:
        cycle_id = decision.request_id if decision.decision_epoch else ""
        caller = f"withdrawals {decision.asset}"
        step = Step("REPORT_DECISION", cycle_id, decision.decision_epoch, caller)
        async with self._commits.edit(step) as edit:
            state = edit.snapshot.service_state
            case = await find(edit.store, edit.snapshot.columns, kind, decision.asset)
            before = Level.NORMAL if case is None else case.level
            if before is level:
                return
            now_micros = micros_of(self._cache.clock.now())
            context = ChangeContext("", decision.demo, now_micros)
            if case is None:
                case, state = opened(edit.snapshot.columns, state, kind, decision.asset, context)
            case = replace(case, subject=case.subject._replace(summary=summary))
            await turn(edit, state, case, level, context, self._cache.clock)
