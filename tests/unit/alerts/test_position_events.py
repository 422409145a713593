"""News of positions as rows and words."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from services.alerts.alerts.domain.change_payload import ChangeContext
from services.alerts.notifications.domain import compose, is_news
from services.alerts.position_events.domain import (
    SWITCHABLE,
    EventKind,
    PositionEvent,
    entries_of_events,
    last_ends,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
CONTEXT = ChangeContext("cycle-1", False, 0)


def _event(sequence: int, kind: EventKind, size: float = 100.0, count: int = 1) -> PositionEvent:
    before = 50.0 if kind in (EventKind.GREW, EventKind.SHRANK) else None
    return PositionEvent(
        sequence,
        1_772_366_400_000_000,
        kind,
        f"p{sequence}",
        "main",
        "jupiter",
        "SOL",
        "LONG",
        before,
        size,
        count,
    )


@pytest.mark.parametrize("kind", [EventKind.CLOSED, EventKind.LIQUIDATED])
def test_an_end_is_not_told_from_here_its_alerts_tell_it(kind: EventKind) -> None:
    made = entries_of_events([_event(1, kind)], SWITCHABLE, 20, CONTEXT, NOW)
    assert (made.entries, made.told_places) == ([], [])


def test_an_end_without_alerts_is_told_from_here_and_loud_when_it_was_no_choice() -> None:
    events = [_event(1, EventKind.CLOSED), _event(2, EventKind.CLOSED), _event(3, EventKind.GREW)]
    ends = {1: "CLOSED", 2: "GONE", 4: "LIQUIDATED"}
    liquidated = _event(4, EventKind.LIQUIDATED)
    made = entries_of_events([*events, liquidated], (), 20, CONTEXT, NOW, ends)
    assert (list(made.told_places), list(made.urgent_places)) == ([], [1, 3])
    payloads = [json.loads(entry.inputs_json) for entry in made.entries]
    assert [is_news(one) for one in payloads] == [True, False, True, False]
    assert [one["level"] for one in payloads] == ["LOW", "HIGH", "LOW", "HIGH"]
    assert "was LIQUIDATED" in compose(payloads[3]).subject
    assert "collateral" in compose(payloads[3]).body
    assert payloads[3]["incident_id"] == "event-4.1"


def test_many_that_are_liquidated_without_alerts_are_one_message_at_high() -> None:
    events = [_event(number, EventKind.LIQUIDATED) for number in range(1, 6)]
    ends = dict.fromkeys(range(1, 6), "LIQUIDATED")
    made = entries_of_events(events, SWITCHABLE, 3, CONTEXT, NOW, ends)
    assert (list(made.told_places), list(made.urgent_places)) == ([], [5])
    text = compose(json.loads(made.entries[5].inputs_json))
    assert text.subject.startswith("HIGH: 5 positions are liquidated, taken in part or gone.")


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (EventKind.LIQUIDATED_IN_PART, "SOL long was LIQUIDATED in part from size 150 USD to 100"),
        (EventKind.AUTO_DELEVERAGED, "SOL long was auto-deleveraged from size 150 USD to 100 USD"),
    ],
)
def test_what_a_venue_took_by_itself_is_always_told_at_high_and_once(
    kind: EventKind, words: str
) -> None:
    taken = replace(_event(2, kind), position_id="p1", size_before_usd=150.0)
    shrank = replace(_event(1, EventKind.SHRANK), size_before_usd=150.0)
    for told in (SWITCHABLE, ()):
        made = entries_of_events([shrank, taken], told, 20, CONTEXT, NOW)
        assert (list(made.told_places), list(made.urgent_places)) == ([], [1])
        payload = json.loads(made.entries[1].inputs_json)
        assert not is_news(payload) and payload["incident_id"] == "event-2.1"
        text = compose(payload)
        assert text.subject.startswith(f"HIGH: {words}") and "What to do: Look" in text.body


def test_a_position_that_was_deleveraged_whole_has_no_size_after() -> None:
    gone = replace(_event(1, EventKind.AUTO_DELEVERAGED), size_before_usd=9.0, size_after_usd=None)
    made = entries_of_events([gone], (), 20, CONTEXT, NOW)
    text = compose(json.loads(made.entries[0].inputs_json))
    assert text.subject == "HIGH: SOL long was auto-deleveraged, size 9 USD, on jupiter (main)"
    assert "naked" in text.body


def test_every_other_kind_is_news_without_an_incident_and_names_its_wallet() -> None:
    kinds = (EventKind.FIRST_LOOK, EventKind.OPENED, EventKind.GREW, EventKind.SHRANK)
    events = [_event(place, kind) for place, kind in enumerate(kinds)]
    made = entries_of_events(events, SWITCHABLE, 20, CONTEXT, NOW)
    assert list(made.told_places) == [0, 1, 2, 3]
    for entry, kind in zip(made.entries, kinds, strict=True):
        payload = json.loads(entry.inputs_json)
        assert (entry.reason, payload["incident_id"], is_news(payload)) == (kind.name, "", True)
        text = compose(payload)
        assert text.subject.startswith(kind.name.replace("_", " ") + ": ")
        assert text.subject.endswith("(main)")
        # Whoever has just added a wallet did it: there is nothing to fear.
        is_theirs = "somebody else may hold the key" in text.body
        assert is_theirs is (kind is not EventKind.FIRST_LOOK)


def test_what_is_listed_no_more_is_news_that_says_what_to_do() -> None:
    lost = replace(_event(1, EventKind.DELISTED), size_before_usd=9.0, size_after_usd=None)
    made = entries_of_events([lost], SWITCHABLE, 20, CONTEXT, NOW)
    assert (made.told_places, made.serious_places, made.urgent_places) == ([0], [0], [])
    (entry,) = made.entries
    payload = json.loads(entry.inputs_json)
    text = compose(payload)
    assert is_news(payload) and payload["incident_id"] == ""
    assert text.subject == (
        "DELISTED: SOL long is listed no more by its venue and stays as it was seen last, size 9 "
        "USD, on jupiter (main)"
    )
    assert "sonic positions remove" in text.body
    assert payload["level"] == "MEDIUM", "the position may live on with nobody looking"
    opened = [_event(number, EventKind.OPENED) for number in (2, 3)]
    made = entries_of_events([*opened, lost], SWITCHABLE, 2, CONTEXT, NOW)
    assert (made.told_places, made.serious_places) == ([3], [3]), "among many that are told as one"
    assert json.loads(made.entries[3].inputs_json)["level"] == "MEDIUM"
    made = entries_of_events(opened, SWITCHABLE, 20, CONTEXT, NOW)
    assert (made.told_places, made.serious_places) == ([0, 1], [])


def test_kinds_that_are_not_wanted_are_kept_and_not_told() -> None:
    events = [_event(1, EventKind.OPENED), _event(2, EventKind.GREW)]
    made = entries_of_events(events, {EventKind.GREW}, 20, CONTEXT, NOW)
    assert [entry.reason for entry in made.entries] == ["OPENED", "GREW"]
    assert list(made.told_places) == [1]


@pytest.mark.parametrize(("count", "told"), [(3, [0, 1, 2]), (4, [4])])
def test_more_than_the_most_are_one_message_that_counts_and_names_the_largest(
    count: int, told: list[int]
) -> None:
    events = [_event(place + 1, EventKind.OPENED, 100.0 * (place + 1)) for place in range(count)]
    made = entries_of_events(events, SWITCHABLE, 3, CONTEXT, NOW)
    assert list(made.told_places) == told
    assert len(made.entries) == max(told) + 1
    if count > 3:
        subject = compose(json.loads(made.entries[-1].inputs_json)).subject
        assert subject.startswith(
            "CHANGED: 4 events of positions: 4 opened. The largest: SOL long opened, size 400 USD"
        )


def test_a_life_of_a_position_ends_once_by_what_is_known_last() -> None:
    closed, liquidated, opened = EventKind.CLOSED, EventKind.LIQUIDATED, EventKind.OPENED
    for kinds, sequences in (
        ((closed,), [1]),
        ((closed, liquidated), [2]),
        ((liquidated, closed), [2]),
        ((closed, opened, closed), [1, 3]),
        ((closed, liquidated, opened, closed, liquidated), [2, 5]),
        ((opened, EventKind.GREW), []),
    ):
        events = [
            replace(_event(number, kind), position_id="p") for number, kind in enumerate(kinds, 1)
        ]
        assert [one.sequence for one in last_ends(events)] == sequences
    apart = [_event(1, closed), _event(2, liquidated)]
    assert last_ends(apart) == apart, "of two positions each has its own"
