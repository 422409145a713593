"""Whether every wallet answers, and how many positions are held."""

from __future__ import annotations

from datetime import timedelta

from services.monitor.checks import Check, Look, is_too_many
from services.monitor.domain.findings import Badge, Finding, Level, Part, RunStatus


class PositionCheck(Check):
    """Says which wallets could not be read. Threshold: share of the active wallets that are fetched."""

    name = "position"
    description = "Wallets that answer, positions that are held"
    interval = timedelta(minutes=1)
    every_cycle = True
    takes_threshold = True

    async def run(self, look: Look) -> Finding:
        """BREACH when the last fetch of an active wallet failed."""
        held = await look.readings.holdings()
        failed = {wallet.name: wallet.reason for wallet in held.wallets if wallet.state == "FAILED"}
        metadata: dict[str, object] = {
            "position_count": held.position_count,
            "stale_count": held.stale_count,
            "failed_wallets": failed,
        }
        is_breach = is_too_many(len(failed), len(held.wallets), look.threshold_percent)
        level = Level.MEDIUM if is_breach else Level.NORMAL
        count, stale = str(held.position_count), bool(failed or held.stale_count)
        parts = (
            *(Part(name, count, Level.MEDIUM, stale=True) for name in (sorted(failed) if is_breach else ())),
            Part("", count, Level.NORMAL, stale),
        )
        badge = Badge("position_badge", count, level, stale, parts)
        badges = {"position_badge": badge if held.position_count or failed else None}
        if not is_breach:
            return Finding(RunStatus.SUCCESS, metadata, badges)
        members = {name: f"{name} ({reason})" for name, reason in sorted(failed.items())}
        return Finding(
            RunStatus.BREACH,
            metadata,
            badges,
            concern=f"wallets that cannot be read: {', '.join(members.values())}",
            advice="Look at the venue itself: what is shown here is old, and levels only hold.",
            members=members,
        )
