"""Venues in trouble, as monitor says how they stand."""

from __future__ import annotations

from sonic.monitor.v1 import monitor_pb2 as pb

from shared.codec import from_timestamp

_TROUBLE = (pb.VENUE_STATE_DEGRADED, pb.VENUE_STATE_DOWN)


def troubled_venues(monitor: pb.Monitor) -> list[str]:
    """In words, also before anybody is told; one that is not known counts where something is held
    there.
    """
    return [_said(one) for one in monitor.venues if monitor.enabled and _is_troubled(one)]


def _is_troubled(one: pb.Venue) -> bool:
    is_unknown = one.state not in (*_TROUBLE, pb.VENUE_STATE_OK)
    return one.state in _TROUBLE or (is_unknown and one.position_count > 0)


def _said(one: pb.Venue) -> str:
    # One of a later release is not known here.
    known = one.state if one.state in pb.VenueState.values() else pb.VENUE_STATE_UNKNOWN
    state = pb.VenueState.Name(known).removeprefix("VENUE_STATE_")
    since = from_timestamp(one, "since_time")
    when = f" since {since:%H:%M} UTC" if since else ""
    return f"venue {one.name} {state}{when}: {'; '.join(one.evidence)}"
