"""Messages made again, and held against the ledger: its rows are what messages are made of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from services.alerts.alerts.domain.change_payload import ChangeContext
from services.alerts.alerts.domain.subjects import Subject
from services.alerts.ledger.domain.chain import Entry
from services.alerts.notifications.service.entries import entries_of
from services.alerts.notifications.service.gathering import digest_entries
from services.alerts.price_rules.service.judging import JudgedRules
from services.alerts.recorder.domain.recording import Recording
from services.alerts.recorder.domain.replay import Again, rule_events
from services.alerts.store.unit_of_work import Store


@dataclass(frozen=True, slots=True)
class Messages:
    """Rows of the ledger made again; those that differ; those that left the database since."""

    count: int = 0
    differing_count: int = 0
    unread_count: int = 0


async def differing_messages(store: Store, recording: Recording, again: Again) -> Messages:
    """Against the rows that the evaluation wrote."""
    made = list(entries_again(recording, again))
    if not made:
        return Messages()
    first = recording.judgement.telling.place.head_sequence + 1
    sequences = [first + place for place, _ in made]
    known = {row.sequence: row.entry for row in await store.ledger.rows(sequences)}
    unread = differing = 0
    for sequence, (_, entry) in zip(sequences, made, strict=True):
        if sequence not in known:
            unread += 1
        elif known[sequence] != entry:
            differing += 1
    return Messages(len(made), differing, unread)


def entries_again(recording: Recording, again: Again) -> Iterator[tuple[int, Entry]]:
    """Entries with their places: of changes, of price rules, and digests, which come last. News of
    positions, which lie between, tell what happened and judge nothing.
    """
    judgement, outcome = recording.judgement, again.outcome
    now = datetime.fromtimestamp(judgement.now_micros / 1_000_000, UTC)
    context = ChangeContext(judgement.cycle_id, judgement.demo, judgement.now_micros)
    # Of a change that was not recorded nobody knows what it was about.
    keys = outcome.columns.subject_key[outcome.changed].tolist()
    subjects = {key: Subject(key, "", "", 0, "") for key in keys} | dict(judgement.subjects)
    made = partial(
        entries_of,
        subjects=subjects,
        positions=judgement.inputs.positions,
        context=context,
        actor="evaluation",
        now=now,
    )
    rules = JudgedRules((), (), rule_events(judgement)).entries(context, now)
    before: Sequence[Entry] = [*made(outcome), *rules]
    yield from enumerate(before)
    digests = digest_entries(again.gathered.digests, outcome, made)
    yield from enumerate(digests, len(before) + judgement.telling.news_count)
