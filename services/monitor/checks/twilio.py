"""Whether the credentials of the telephone provider are good; no call is placed."""

from __future__ import annotations

from datetime import timedelta

from services.monitor.checks import Check, CheckContext
from services.monitor.domain.findings import Finding, RunStatus, skipped


class TwilioCheck(Check):
    """For the ledger; notifies nobody."""

    name = "twilio"
    description = "Credentials of Twilio, verified without a call"
    interval = timedelta(hours=6)
    outside = True
    retry_interval = timedelta(minutes=5)

    async def run(self, context: CheckContext) -> Finding:
        """BREACH when the account refuses them or is not active; SKIPPED without credentials."""
        problem = await context.readings.twilio()
        if problem is None:
            return skipped("NOT_CONFIGURED", "TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN")
        if problem:
            return Finding(RunStatus.BREACH, {"verified": False, "problem": problem})
        return Finding(RunStatus.SUCCESS, {"verified": True})
