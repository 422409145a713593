"""A simulated month whose every outcome is known: each figure of the scorecard is computed anew."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from statistics import median
from time import process_time

import pytest

from services.alerts.domain.kinds import AlertType, Level
from services.alerts.ledger.domain.chain import Entry, Sealed
from services.alerts.scorecard.domain.incidents import Followed, Message, ToldMessages, ToldState
from services.alerts.scorecard.domain.rules import RuleScore, Scorecard, scorecard

START = datetime(2026, 11, 1, tzinfo=UTC)
NOW = START + timedelta(days=30)
HORIZON = timedelta(hours=24)
DISTANCE, HEAT = AlertType.LIQUIDATION_DISTANCE, AlertType.HEAT_INDEX
NORMAL, LOW, MEDIUM, HIGH = Level.NORMAL, Level.LOW, Level.MEDIUM, Level.HIGH
WAYS = (
    *("recovered", "topped up", "cut", "closed", "liquidated", "gone", "switched off", "deleted"),
    *("not known", "standing", "gone and back"),
)
FOLLOWED = {
    "recovered": Followed.RECOVERED,
    "topped up": Followed.ACTED,
    "cut": Followed.ACTED,
    "closed": Followed.CLOSED,
    "liquidated": Followed.LIQUIDATED,
    "gone": Followed.GONE,
    "switched off": Followed.UNKNOWN,
    "deleted": Followed.UNKNOWN,
    "not known": Followed.UNKNOWN,
    "standing": Followed.PENDING,
    "gone and back": Followed.UNKNOWN,
}
USEFUL = (Followed.LIQUIDATED, Followed.GONE, Followed.ACTED, Followed.CLOSED)


@dataclass
class Told:
    """What the test knows of an incident."""

    alert_id: str
    type: AlertType
    position: str
    begin: datetime
    top: Level
    high: datetime | None
    followed: Followed
    end: datetime | None
    told_after: timedelta | None = None
    acknowledged_after: timedelta | None = None
    repeats: int = 0
    told: datetime | None = None


@dataclass
class Book:
    """Rows as the ledger has them."""

    entries: list[Entry] = field(default_factory=list)
    truths: list[Told] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)

    def row(
        self, time, alert_id, kind, reason, before, after, subject, actor="evaluation", **facts
    ) -> None:
        texts = json.dumps({name: str(value) for name, value in facts.items()})
        value = (time, alert_id, kind, actor, reason, before, after, 1.0, None)
        self.entries.append(Entry(*value, texts, "", subject))

    def rows(self) -> list[Sealed]:
        ordered = sorted(self.entries, key=lambda entry: entry.entry_time)
        return [Sealed(number, entry, b"", b"") for number, entry in enumerate(ordered, 1)]

    def card(self, messages: ToldMessages | None = None, **changed: object) -> Scorecard:
        told = messages or ToldMessages(self.messages, START - timedelta(days=9))
        given = {"start": START, "now": NOW, "horizon": HORIZON, "digests": {}, **changed}
        return scorecard(self.rows(), messages=told, **given)


def incident(book: Book, chance: random.Random, number: int, way: str) -> None:
    """One incident of a position of its own, with all rows and messages."""
    kind, side = chance.choice((DISTANCE, HEAT)), chance.choice(("LONG", "SHORT"))
    name, position = f"alert-{number}", f"position-{number}"
    first = START + timedelta(minutes=chance.randrange(60, 27 * 1440))
    if way == "standing":
        first = NOW - timedelta(hours=chance.randrange(1, 300))
    facts = {
        "incident_id": f"{name}.1",
        "asset": "SOL",
        "wallet": "main",
        "side": side,
        "size_usd": 1000,
        "liquidation_price_usd": 80,
    }
    levels = chance.choice(((LOW, HIGH), (HIGH,), (LOW,), (MEDIUM, HIGH), (LOW, MEDIUM, HIGH)))
    time, before = first, NORMAL
    truth = Told(name, kind, position, first, max(levels), None, FOLLOWED[way], None)
    for level in levels:
        book.row(time, name, kind, "RAISED", before, level, position, **facts)
        truth.high = time if level is HIGH else truth.high
        truth.repeats += before is not NORMAL
        before, time = level, time + timedelta(minutes=chance.randrange(1, 20))
    if chance.random() < 0.5:
        book.row(time, name, kind, "TOLD", before, before, position, **facts)
        truth.repeats += 1
    if chance.random() < 0.4:
        truth.acknowledged_after = time - first
        book.row(time, name, kind, "ACKNOWLEDGED", before, before, position, **facts)
    if chance.random() < 0.7:
        wait = timedelta(seconds=chance.randrange(1, 90))
        created = first + timedelta(milliseconds=300)
        truth.told_after, truth.told = wait, first + wait
        late = first + timedelta(hours=1)
        book.messages += [Message(f"{name}.1", created, at) for at in (late, first + wait, None)]
    else:
        book.messages.append(Message(f"{name}.1", first, None))
    if way != "standing":
        truth.end = time = time + timedelta(minutes=chance.randrange(5, 1000))
        end(book, way, truth, before, facts)
    book.truths.append(truth)


def end(book: Book, way: str, truth: Told, level: Level, facts: dict[str, object]) -> None:
    after = dict(facts)
    away = 1.1 if facts["side"] == "SHORT" else 0.9
    after |= {"topped up": {"liquidation_price_usd": 80 * away}, "cut": {"size_usd": 500}}.get(
        way, {}
    )
    if way == "not known":
        after.pop("size_usd")
    reason, to, event = {
        "closed": ("DELETED", 0, "CLOSED"),
        "liquidated": ("LIQUIDATED", 0, "LIQUIDATED"),
        "gone": ("GONE", 0, "GONE"),
        "gone and back": ("GONE", 0, "GONE"),
        "switched off": ("SWITCHED_OFF", NORMAL, "RESOLVED"),
        # The words are those of a position that was closed.
        "deleted": ("DELETED", 0, "CLOSED"),
    }.get(way, ("LOWERED", NORMAL, "RESOLVED"))
    actor = {"closed": "clear", "deleted": "J\u00fcrgen"}.get(way, "evaluation")
    about = (truth.alert_id, truth.type, reason, level, to, truth.position)
    book.row(truth.end, *about, actor, **{**after, "event": event})
    if way == "gone and back":
        back = truth.end + timedelta(minutes=9)
        book.row(back, truth.alert_id, truth.type, "BACK", 0, 0, truth.position, event="BACK")


@pytest.fixture(scope="module")
def month() -> Book:
    chance, book = random.Random(14), Book()
    for number in range(1, 331):
        incident(book, chance, number, WAYS[number % len(WAYS)])
    return book


def rules(card: Scorecard) -> Iterator[tuple[RuleScore, AlertType]]:
    for rule in card.rules:
        yield rule, rule.type


def test_of_every_incident_of_the_month_the_outcome_and_every_time_is_known(month: Book) -> None:
    found = {one.alert_id: one for one in month.card().incidents}
    assert len(found) == len(month.truths)
    for truth in month.truths:
        one = found[truth.alert_id]
        assert (one.type, one.subject, one.level) == (truth.type, truth.position, truth.top)
        assert (one.begin_time, one.high_time) == (truth.begin, truth.high)
        assert one.end_time == truth.end
        assert (one.followed, one.followed_time) == (truth.followed, truth.end)
        assert one.lead == (None if truth.end is None else truth.end - truth.begin)
        assert one.telling is (ToldState.NOT_TOLD if truth.told is None else ToldState.TOLD)
        assert one.told_after == truth.told_after
        assert one.acknowledged_after == truth.acknowledged_after
        assert one.repeated_count == truth.repeats


def test_every_figure_of_a_rule_is_that_of_its_incidents(month: Book) -> None:
    card = month.card()
    assert {kind for _, kind in rules(card)} == {DISTANCE, HEAT}
    deaths = [one for one in month.truths if one.followed is Followed.LIQUIDATED]
    for rule, kind in rules(card):
        mine = [one for one in month.truths if one.type is kind]
        high = [one for one in mine if one.high]
        useful = sum(one.followed in USEFUL for one in high)
        noise = sum(one.followed is Followed.RECOVERED for one in high)
        preceded = [one for one in deaths if one.type is kind and one.high]
        assert useful and noise and preceded
        assert (rule.incident_count, rule.high_count) == (len(mine), len(high))
        assert (rule.useful_count, rule.noise_count) == (useful, noise)
        assert rule.pending_count == sum(one.followed is Followed.PENDING for one in high)
        assert rule.unknown_count == sum(one.followed is Followed.UNKNOWN for one in high)
        assert rule.precision == pytest.approx(useful / (useful + noise))
        assert rule.preceded_count == len(preceded)
        assert rule.recall == pytest.approx(len(preceded) / len(deaths))
        assert rule.median_lead == span(one.end - one.high for one in preceded)
        assert rule.median_told_after == span(one.told_after for one in mine if one.told)
        acknowledged = (one.acknowledged_after for one in mine if one.acknowledged_after)
        assert rule.median_acknowledged_after == span(acknowledged)
        assert rule.repeated_count == sum(one.repeats for one in mine)
        assert rule.alarms_per_week == pytest.approx(len(high) * 7 / 30)
        assert not rule.is_noise


def span(spans) -> timedelta:
    return timedelta(seconds=median(one.total_seconds() for one in spans))


def test_liquidations_nobody_was_told_of_come_first(month: Book) -> None:
    found = month.card().liquidations
    deaths = {one.position: one for one in month.truths if one.followed is Followed.LIQUIDATED}
    assert {one.position_id for one in found} == deaths.keys()
    for one in found:
        truth = deaths[one.position_id]
        assert (one.time, one.level, one.high_time) == (truth.end, truth.top, truth.high)
        assert one.telling is (ToldState.TOLD if truth.told else ToldState.NOT_TOLD)
    told = [one.telling is ToldState.TOLD for one in found]
    assert told == sorted(told)
    assert set(told) == {True, False}


def test_messages_that_are_not_known_are_no_silence(month: Book) -> None:
    none = month.card(ToldMessages())
    assert {one.telling for one in none.incidents} == {ToldState.UNKNOWN}
    assert {one.telling for one in none.liquidations} == {ToldState.UNKNOWN}
    later = START + timedelta(days=15)
    kept = [one for one in month.messages if one.created_time >= later]
    for one in month.card(ToldMessages(kept, later)).incidents:
        assert (one.telling is ToldState.UNKNOWN) == (one.begin_time < later)


def danger(book: Book, position: str, begin: datetime, level: Level = HIGH, **more) -> None:
    facts = {"incident_id": f"{position}.1", "wallet": "main", "size_usd": 1, **more}
    facts |= {"liquidation_price_usd": 80, "side": "LONG"}
    book.row(begin, position, DISTANCE, "RAISED", NORMAL, level, position, **facts)
    over = begin + timedelta(hours=1)
    book.row(over, position, DISTANCE, "LOWERED", level, NORMAL, position, **facts)


def test_a_rule_that_only_made_noise_comes_first() -> None:
    book = Book()
    danger(book, "a", START)
    book.row(START, "b", HEAT, "RAISED", NORMAL, HIGH, "b", size_usd=1)
    book.row(NOW, "b", HEAT, "DELETED", HIGH, 0, "b", "clear", event="CLOSED")
    card = book.card(now=NOW + timedelta(days=2))
    assert [(one.type, one.is_noise) for one in card.rules] == [(DISTANCE, True), (HEAT, False)]
    assert card.rules[0].precision == 0.0
    assert card.rules[0].recall is None
    assert book.card(now=START + timedelta(hours=2)).incidents[0].followed is Followed.PENDING


def test_what_follows_within_the_horizon_counts_and_later_does_not() -> None:
    for hours, followed in ((23, Followed.LIQUIDATED), (25, Followed.RECOVERED)):
        book = Book()
        danger(book, "a", START)
        book.row(START + timedelta(hours=hours), "x", DISTANCE, "LIQUIDATED", NORMAL, 0, "a")
        card = book.card()
        (one,) = (each for each in card.incidents if each.alert_id == "a")
        assert one.followed is followed
        # It stood for an hour: until 25 hours after its begin it warned within the horizon.
        assert [death.level for death in card.liquidations] == [HIGH]
    for hours, level in ((25, HIGH), (26, NORMAL)):
        book = Book()
        danger(book, "a", START)
        book.row(START + timedelta(hours=hours), "x", DISTANCE, "LIQUIDATED", NORMAL, 0, "a")
        assert [death.level for death in book.card().liquidations] == [level]


def test_what_began_before_the_window_is_not_counted_but_known_at_a_liquidation() -> None:
    book = Book()
    early = START - timedelta(hours=3)
    book.row(early, "a", DISTANCE, "RAISED", LOW, HIGH, "a", incident_id="a.1")
    book.row(START + timedelta(hours=1), "a", DISTANCE, "LIQUIDATED", HIGH, 0, "a")
    book.messages.append(Message("a.1", early, early + timedelta(seconds=9)))
    card = book.card()
    assert card.incidents == []
    assert (card.liquidations[0].level, card.liquidations[0].telling) == (HIGH, ToldState.TOLD)


def test_a_digest_tells_its_members_and_an_account_its_positions() -> None:
    book = Book()
    book.row(START, "acc", AlertType.ACCOUNT_DISTANCE, "RAISED", NORMAL, HIGH, "acc", wallet="w")
    time = START + timedelta(hours=2)
    book.row(time, "p", DISTANCE, "LIQUIDATED", HIGH, 0, "p", wallet="w")
    heard = START + timedelta(seconds=4)
    book.messages.append(Message("digest-7", START, heard))
    card = book.card(digests={1: "digest-7"})
    (one,) = (each for each in card.incidents if each.alert_id == "acc")
    assert (one.telling, one.told_time) == (ToldState.TOLD, heard)
    (rule,) = card.rules
    assert (rule.precision, rule.recall, rule.unknown_count) == (None, None, 0)
    assert (card.liquidations[0].level, card.liquidations[0].telling) == (HIGH, ToldState.TOLD)


def test_of_what_is_no_position_nothing_is_called_noise() -> None:
    book = Book()
    total = AlertType.TOTAL_HEAT
    book.row(START, "t", total, "RAISED", NORMAL, HIGH, "", incident_id="t.1")
    book.row(START + timedelta(hours=1), "t", total, "LOWERED", HIGH, NORMAL, "")
    (rule,) = book.card().rules
    assert (rule.noise_count, rule.unknown_count, rule.precision) == (0, 1, None)
    assert not rule.is_noise


def test_opportunities_news_and_unreadable_rows_are_no_incidents_and_stop_nothing() -> None:
    book = Book()
    book.row(START, "g", AlertType.PROFIT, "RAISED", NORMAL, HIGH, "g")
    book.row(START, "n", AlertType.POSITION_EVENT, "OPENED", 0, 0, "g")
    book.row(START, "old", 99, "RAISED", NORMAL, HIGH, "g")
    book.entries.append(
        Entry(START, "z", DISTANCE, "e", "RAISED", 1, 4, None, None, "", "", "z", b"\x09junk")
    )
    (one,) = book.card().incidents
    assert (one.alert_id, one.incident_key, one.telling) == ("z", "", ToldState.UNKNOWN)


@pytest.mark.parametrize("actor", ["J\u00fcrgen", "", "demo end", "evaluation"])
def test_what_people_delete_is_not_closed(actor: str) -> None:
    book = Book()
    book.row(START, "a", DISTANCE, "RAISED", NORMAL, HIGH, "a")
    end_time = START + timedelta(hours=1)
    book.row(end_time, "a", DISTANCE, "DELETED", HIGH, 0, "a", actor, event="CLOSED")
    assert [one.followed for one in book.card().incidents] == [Followed.UNKNOWN]


def test_what_happened_in_the_demo_is_no_record_of_the_alerts() -> None:
    book = Book()
    danger(book, "a", START, demo="true")
    danger(book, "b", START)
    death = START + timedelta(minutes=30)
    for position, is_demo in (("a", "true"), ("b", "")):
        book.row(death, "x", DISTANCE, "LIQUIDATED", HIGH, 0, position, demo=is_demo)
    card = book.card()
    assert {one.subject for one in card.incidents} == {"b"}
    assert [one.position_id for one in card.liquidations] == ["b"]


@pytest.mark.parametrize(
    ("reason", "followed", "count"),
    [
        ("LIQUIDATED_IN_PART", Followed.LIQUIDATED, 1),
        ("AUTO_DELEVERAGED", Followed.UNKNOWN, 0),
    ],
)
def test_what_a_venue_cut_by_itself_is_no_act_of_a_person(
    reason: str, followed: Followed, count: int
) -> None:
    book = Book()
    danger(book, "a", START)
    time = START + timedelta(minutes=30)
    book.row(time, "event-1", AlertType.POSITION_EVENT, reason, 0, HIGH, "a", wallet="main")
    card = book.card()
    assert [one.followed for one in card.incidents] == [followed]
    assert len(card.liquidations) == count


@pytest.mark.slow
def test_four_times_as_many_liquidations_are_not_sixteen_times_the_work() -> None:
    def seconds(count: int) -> float:
        book = Book()
        for number in range(count):
            name = f"p{number}"
            book.row(START, name, DISTANCE, "RAISED", NORMAL, HIGH, name, wallet=f"w{number}")
            death = START + timedelta(hours=1)
            book.row(death, name, DISTANCE, "LIQUIDATED", HIGH, 0, name, wallet=f"w{number}")
        before = process_time()
        card = book.card()
        assert len(card.liquidations) == card.rules[0].preceded_count == count
        return process_time() - before

    few, many = (min(seconds(count) for _ in range(2)) for count in (500, 2000))
    assert many < 9 * few
