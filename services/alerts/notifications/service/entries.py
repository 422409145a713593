"""Changes of level as entries of the ledger and rows of the outbox. Writes nothing itself."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from services.alerts.alerts.domain.change_payload import Change, alert_id
from services.alerts.alerts.domain.views import present
from services.alerts.domain.kinds import type_number
from services.alerts.ledger.domain import Entry
from services.alerts.service.commits import Entries, Notice


def entry_of(change: Change, *, actor: str, cycle_id: str, now: datetime) -> Entry:
    """Of one change."""
    return Entry(
        now,
        alert_id(change.alert_key),
        type_number(change.kind),
        actor,
        change.reason,
        change.level_before,
        change.level_after,
        present(change.value),
        present(change.flip_value),
        change.text,
        cycle_id,
        change.name,
    )


def entries_of(made: Sequence[Change], *, actor: str, cycle_id: str, now: datetime) -> Entries:
    """An entry for each change; those that are notified or noted are handed over."""
    entries = [entry_of(change, actor=actor, cycle_id=cycle_id, now=now) for change in made]
    notices = [
        Notice(place, noted=not change.notified)
        for place, change in enumerate(made)
        if change.notified or change.noted
    ]
    return Entries.of(entries, notices)
