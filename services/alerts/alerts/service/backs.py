"""What was told to be gone is held: people hear that it is back."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta

from services.alerts.alerts.domain.ends import back
from services.alerts.alerts.domain.gathering import LedgerPlace, Told, gather_told
from services.alerts.domain.kinds import Level
from services.alerts.ledger.domain.chain import Entry, Sealed
from services.alerts.notifications.service.gathering import Gathering, digest_entry
from services.alerts.service.commits import Entries
from services.alerts.service.snapshot_cache import Snapshot
from services.alerts.store.unit_of_work import Store
from shared.database.fence import Step

# A position that was GONE and comes back later than this is another one.
_REMEMBERED = timedelta(days=7)


async def back_entries(
    store: Store,
    gathering: Gathering,
    snapshot: Snapshot,
    step: Step,
    held: Sequence[str],
    first: Entry,
) -> Entries:
    """The first entry; then one for each of these positions that was GONE, of which people hear."""
    now = first.entry_time
    gone = await store.ledger.gone(held, now - _REMEMBERED) if held else []
    if not gone:
        return Entries.of([first])
    backs = [_back(step, row, now) for row in gone]
    payloads = [json.loads(entry.inputs_json) for entry in backs]
    digests = await store.ledger.digests_of_gone(gone)
    by_digest = {sequence for _, sequence, _ in digests}
    told = [
        Told(
            place,
            Level.LOW,
            payload,
            gathering.channels(snapshot, {}, payload, Level.LOW),
            row.sequence,
            [] if row.sequence in by_digest else [payload["incident_id"]],
            is_all=True,
        )
        for place, (row, payload) in enumerate(zip(gone, payloads, strict=True), 1)
    ]
    commit = LedgerPlace(gathering.most, 1 + len(backs), snapshot.head.sequence)
    lost = [(sequence, digest) for digest, sequence, _ in digests]
    gathered = gather_told(told, commit, lost, {one for one, _, is_over in digests if is_over})
    of_digests = [
        digest_entry(one, [payloads[place - 1] for place in one.worst], backs[one.worst[0] - 1])
        for one in gathered.digests
    ]
    entries = [first, *backs, *of_digests]
    return Entries.gathered(1 + len(backs), lambda: entries, gathered)


def _back(step: Step, gone: Sealed, now: datetime) -> Entry:
    """That what was GONE by this row is held ends the incident that it began."""
    inputs = json.dumps(back(json.loads(gone.entry.inputs_json), step.cycle_id))
    was = gone.entry
    return Entry(
        now, was.alert_id, was.type, "create", "BACK", Level.HIGH, Level.NORMAL, None, None, inputs,
        step.cycle_id, was.subject,
    )  # fmt: skip
