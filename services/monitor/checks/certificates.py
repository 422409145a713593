"""Whether certificates are renewed before they end: then nobody calls anybody any more."""

from __future__ import annotations

from datetime import datetime, timedelta

from services.monitor.checks import CertificateReading, Check, CheckContext
from services.monitor.domain.findings import Badge, Finding, Level, Part, RunStatus, skipped

_BADGE = "certificates_badge"
# Renewal is due when a third of the life is left: half of that is late. A long life is no reason to
# begin years before.
_LATE_SHARE, _LATE = 1 / 6, timedelta(days=15)
_VERY_LATE_SHARE, _VERY_LATE = 1 / 30, timedelta(days=3)


class CertificatesCheck(Check):
    """MEDIUM when less than a sixth of its life and 15 days are left, HIGH under a thirtieth and 3
    days, or when it cannot be read.
    """

    name = "certificates"
    description = "Time left of the servers' certificates"
    interval = timedelta(hours=1)
    outside = True
    retry_interval = timedelta(minutes=10)

    async def run(self, context: CheckContext) -> Finding:
        """BREACH when one was not renewed in time; SKIPPED NOT_CONFIGURED without any."""
        found = await context.readings.certificates()
        if not found:
            return skipped("NOT_CONFIGURED", "no certificates here; see docs/security.md")
        judged = [(one, level_of(one, context.now)) for one in found]
        metadata: dict[str, object] = {
            "days_left": {
                one.name: round((one.end_time - context.now) / timedelta(days=1), 1)
                for one in found
                if one.end_time is not None
            }
        }
        late = sorted(
            ((one, level) for one, level in judged if level > Level.NORMAL),
            key=lambda pair: (-pair[1], pair[0].end_time or context.now, pair[0].name),
        )
        if not late:
            return Finding(RunStatus.SUCCESS, metadata, {_BADGE: None})
        words = {one.name: _words(one, context.now) for one, _ in late}
        first, level = late[0]
        urgent = {f"{one.name} at once": one for one, worst in late if worst is Level.HIGH}
        parts = tuple(Part(one.name, words[one.name], worst) for one, worst in late)
        return Finding(
            RunStatus.BREACH,
            metadata,
            {_BADGE: Badge(_BADGE, words[first.name], level, parts=parts)},
            concern="not renewed: " + "; ".join(list(words.values())[:5]),
            advice="Certificates of sonic up are renewed by itself while it runs: see its words in"
            " `sonic logs`, and whether SONIC_HOME/tls can be written. Others are renewed by who"
            " makes them.",
            level=level,
            # Who joins is told, as urgent as it is: a certificate, and each again when it gets so.
            members=dict(words) | {name: words[one.name] for name, one in urgent.items()},
            member_levels={one.name: worst for one, worst in late}
            | dict.fromkeys(urgent, Level.HIGH),
        )


def level_of(one: CertificateReading, now: datetime) -> Level:
    """How urgent a renewal is by now."""
    if one.begin_time is None or one.end_time is None:
        return Level.HIGH
    left, life = one.end_time - now, one.end_time - one.begin_time
    if left < min(life * _VERY_LATE_SHARE, _VERY_LATE):
        return Level.HIGH
    return Level.MEDIUM if left < min(life * _LATE_SHARE, _LATE) else Level.NORMAL


def _words(one: CertificateReading, now: datetime) -> str:
    if one.end_time is None:
        return f"the certificate of {one.name} cannot be read: {one.problem}"
    days = (one.end_time - now) / timedelta(days=1)
    if days <= 0:
        return f"the certificate of {one.name} ended {-days:.1f} days ago"
    return f"the certificate of {one.name} ends in {days:.1f} days"
