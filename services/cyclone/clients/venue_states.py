"""Venues in trouble, as the last run of the monitor `venue` found them."""

from __future__ import annotations

import json

from sonic.monitor.v1 import monitor_pb2

_NAME = "venue"


def troubled_venues(monitor: monitor_pb2.Monitor) -> list[str]:
    """In words, also before anybody is told; one that is not known counts where something is held
    there.
    """
    if monitor.name != _NAME or not monitor.enabled:
        return []
    try:
        venues = json.loads(monitor.last_run.metadata_json or "{}").get("venues", {})
        found = []
        for venue, one in sorted(venues.items()):
            is_unknown = one["state"] == "UNKNOWN" and one["listed_count"] > 0
            if is_unknown or one["state"] in ("DEGRADED", "DOWN"):
                why = "; ".join(one["evidence"])
                found.append(f"venue {venue} {one['state']} since {one['since'][11:16]} UTC: {why}")
    except (ValueError, KeyError, TypeError, AttributeError):
        return ["venue, whose last run cannot be read"]
    return found
