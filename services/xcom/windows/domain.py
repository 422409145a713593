"""What is said of a maintenance window, and which may be planned. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.xcom.domain.settings import MaintenanceWindow

LONGEST = timedelta(days=7)
KEPT = timedelta(days=30)
MOST_COUNT = 100
_LISTED_COUNT = 20


@dataclass(frozen=True, slots=True)
class HeldMessages:
    """What a window held and still stands: how many, and the most urgent subjects."""

    count: int
    subjects: Sequence[str]


def problem_of(window: MaintenanceWindow, now: datetime) -> tuple[str, str] | None:
    """The field that is wrong and why; None when it may be planned."""
    if not window.name.strip():
        return "name", "say what it is for"
    if window.end_time <= max(window.start_time, now):
        return "end_time", "must be after its start, and not be over"
    if window.end_time - window.start_time > LONGEST:
        return "end_time", "at most 7 days after its start"
    return None


def beginning(window: MaintenanceWindow) -> tuple[str, str]:
    """Subject and body of what is told at its start."""
    held = "HIGH too" if window.holds_high else "HIGH breaks through"
    subject = f"Maintenance: {window.name} until {window.end_time:%Y-%m-%d %H:%M} UTC"
    body = f"{subject}\n\nWhat comes meanwhile waits until then ({held}); what stands is told then."
    return subject, body


def end(window: MaintenanceWindow, standing: HeldMessages) -> tuple[str, str]:
    """Subject and body of what is told at its end."""
    stands = f"{standing.count} stand" if standing.count else "nothing stands"
    subject = f"Maintenance over: {window.name}, {stands}"
    listed = [f"- {subject}" for subject in standing.subjects[:_LISTED_COUNT]]
    if standing.count > len(listed):
        listed.append(f"... and {standing.count - len(listed)} more")
    return subject, "\n".join([subject, "", *listed]).rstrip()
