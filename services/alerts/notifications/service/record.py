"""Changes of level as entries of the ledger and rows of the outbox. Writes nothing itself."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime

from services.alerts.alerts.domain.change_payload import Change, alert_id
from services.alerts.domain.kinds import type_number
from services.alerts.ledger.domain import Entry
from services.alerts.service.commits import Notice


def known_or_none(number: float) -> float | None:
    return None if math.isnan(number) else number


def entries_of(made: Sequence[Change], *, actor: str, cycle_id: str, now: datetime) -> list[Entry]:
    """One for each change."""
    return [
        Entry(
            now,
            alert_id(change.alert_key),
            type_number(change.kind),
            actor,
            change.reason,
            change.level_before,
            change.level_after,
            known_or_none(change.value),
            known_or_none(change.flip_value),
            change.text,
            cycle_id,
            change.name,
        )
        for change in made
    ]


def notices_of(made: Sequence[Change]) -> list[Notice]:
    """Of those changes that are notified or noted."""
    return [
        Notice(place, noted=not change.notified)
        for place, change in enumerate(made)
        if change.notified or change.noted
    ]
