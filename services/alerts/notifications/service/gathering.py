"""Many changes of one commit become one notification, before any of them is a message."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from services.alerts.alerts.domain.alert_columns import ANNOTATED_BIT, AlertColumns, Column
from services.alerts.alerts.domain.change_inputs import payload_of
from services.alerts.alerts.domain.change_payload import alert_id
from services.alerts.alerts.domain.digest_texts import digest_payload
from services.alerts.alerts.domain.digests import Digest, Gathered
from services.alerts.alerts.domain.evaluation import Outcome
from services.alerts.alerts.domain.gathering import LedgerPlace, Ways, gather, ways_of
from services.alerts.alerts.domain.readings import Positions
from services.alerts.domain.kinds import Level, kind_named
from services.alerts.ledger.domain.chain import Entry
from services.alerts.service.offload import offload
from services.alerts.service.snapshot_cache import Snapshot
from services.alerts.store.unit_of_work import Store

_DIGEST = "DIGEST"


class Gathering:
    """More than `most` changes that go the same way are told as one."""

    def __init__(self, most: int) -> None:
        self.most = most

    async def gather(
        self,
        store: Store,
        snapshot: Snapshot,
        outcome: Outcome,
        positions: Positions,
        rule_count: int = 0,
    ) -> tuple[Outcome, Gathered]:
        """The alerts with what last told of them, and what goes into the outbox; entries of digests
        come after those of the changes and of price rules.
        """
        changed = outcome.changed
        commit = self.place(snapshot, outcome, rule_count)
        notified = changed[outcome.notified]
        own = await self.own_channels(store, outcome.columns, notified)
        ways = Ways(np.zeros(len(notified), np.int64), [()])
        if len(notified) > self.most:
            ways = ways_of(outcome.columns, notified, snapshot.thresholds, own)
        after, gathered = await offload(len(changed), gather, outcome, ways, positions, commit)
        return after, replace(gathered, own_channels=own)

    def place(self, snapshot: Snapshot, outcome: Outcome, more: int) -> LedgerPlace:
        """Where entries of digests go: after those of the changes and so many of other things."""
        first_place = len(outcome.changed) + more
        return LedgerPlace(self.most, first_place, snapshot.head.sequence)

    async def own_channels(
        self, store: Store, columns: AlertColumns, rows: Column
    ) -> Mapping[str, tuple[str, ...]]:
        """Of those of these alerts that have some, by id; not looked up when they are few."""
        annotated = rows[columns.trait_bits[rows] & ANNOTATED_BIT != 0]
        if len(rows) <= self.most or not len(annotated):
            return {}
        ids = [alert_id(key) for key in columns.alert_key[annotated].tolist()]
        return await store.annotations.channels(ids)

    def channels(
        self,
        snapshot: Snapshot,
        own: Mapping[str, tuple[str, ...]],
        payload: Mapping[str, str],
        level: int,
    ) -> tuple[str, ...]:
        """Of one change by its payload; `own`: of alerts that have some."""
        if payload["alert_id"] in own:
            return own[payload["alert_id"]]
        kind = kind_named(payload["type"], payload["condition"])
        threshold = snapshot.thresholds.find(kind, payload.get("asset", ""))
        return threshold.channels(Level(level)) if threshold is not None else ()


def digest_entry(digest: Digest, worst: Sequence[Mapping[str, str]], like: Entry) -> Entry:
    """Its own row of the ledger; `worst`: payloads of the worst, in order, `like`: its entry."""
    # Levels are in the rows of its members.
    return like._replace(
        alert_id=digest.id,
        reason=_DIGEST,
        level_before=0,
        level_after=0,
        value=None,
        flip_value=None,
        inputs_json=json.dumps(digest_payload(digest, worst)),
        inputs=b"",
    )


def digest_entries(
    digests: Sequence[Digest], outcome: Outcome, made: Callable[[Outcome], Iterable[Entry]]
) -> Iterator[Entry]:
    """Those of digests of changes of an outcome."""
    for digest in digests:
        entries = list(made(outcome.pick(np.array(digest.worst))))
        yield digest_entry(digest, [payload_of(entry) for entry in entries], entries[0])
