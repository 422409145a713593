"""Whether every change of advice about supply reached alerts."""

from __future__ import annotations

from datetime import timedelta

from services.monitor.checks import Check, CheckContext
from services.monitor.domain.findings import Badge, Finding, Level, Part, RunStatus, skipped


class WithdrawalsCheck(Check):
    """Says MEDIUM of which assets nobody is told: a lost peg may be among it."""

    name = "withdrawals"
    description = "Changes of advice about supply that alerts refused"
    interval = timedelta(minutes=5)
    outside = True

    async def run(self, context: CheckContext) -> Finding:
        """BREACH while one is refused; SKIPPED without the withdrawals service."""
        refused = await context.readings.refused_advice()
        if refused is None:
            return skipped("NOT_CONFIGURED", "WITHDRAWALS_ADDRESS")
        if not refused:
            return Finding(RunStatus.SUCCESS, {"refused": {}}, {"withdrawals_badge": None})
        members = {name: f"{name} ({reason})" for name, reason in sorted(refused.items())}
        parts = tuple(Part(name, f"{name} not told", Level.MEDIUM) for name in members)
        value = f"advice not told: {', '.join(members)}"
        badge = Badge("withdrawals_badge", value, Level.MEDIUM, parts=parts, listed=True)
        return Finding(
            RunStatus.BREACH,
            {"refused": dict(refused)},
            {"withdrawals_badge": badge},
            concern=f"advice that alerts refused: {', '.join(members.values())};"
            " see sonic withdrawals explain",
            level=Level.MEDIUM,
            members=members,
        )
