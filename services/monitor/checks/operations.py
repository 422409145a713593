"""Whether every service is there: its health, and a cheap read of it."""

from __future__ import annotations

from datetime import timedelta

from services.monitor.checks import Check, CheckContext, is_too_many
from services.monitor.domain.findings import Badge, Finding, Level, Part, RunStatus


class OperationsCheck(Check):
    """Says which services are down, HIGH. Threshold: share of the services.

    One failed run is a breach, two in a row are an incident: a replacement is none.
    """

    name = "operations"
    description = "Health and a read of every service"
    interval = timedelta(minutes=1)
    outside = True
    takes_threshold = True

    async def run(self, context: CheckContext) -> Finding:
        """BREACH when a service does not serve or cannot be read; providers are for the ledger."""
        services = await context.readings.services()
        down = {service.name: service.problem for service in services if service.problem}
        hosts = await context.readings.hosts()
        metadata: dict[str, object] = {
            "services": sorted(service.name for service in services),
            "down": down,
            "providers_down": {host.name: host.problem for host in hosts if host.problem},
        }
        if not is_too_many(len(down), len(services), context.threshold_percent):
            return Finding(RunStatus.SUCCESS, metadata, {"operations_badge": None})
        parts = tuple(Part(name, f"{name} down", Level.HIGH) for name in sorted(down))
        badge = Badge(
            "operations_badge",
            f"down: {', '.join(sorted(down))}",
            Level.HIGH,
            parts=parts,
            listed=True,
        )
        before = context.last.metadata.get("down") if context.last else None
        twice = down.keys() & before.keys() if isinstance(before, dict) else set()
        members = {name: f"{name} ({down[name]})" for name in sorted(twice)}
        return Finding(
            RunStatus.BREACH,
            metadata,
            {"operations_badge": badge},
            concern=f"services down: {', '.join(members.values())}" if members else "",
            level=Level.HIGH,
            members=members,
        )
