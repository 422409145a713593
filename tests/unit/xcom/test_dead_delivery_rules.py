"""Who hears what could not be delivered, and when it is tried again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.xcom.deliveries.domain.dead_deliveries import (
    FailedMessage,
    Sibling,
    failure_notice,
    reason_of,
)
from services.xcom.domain.messages import (
    Answer,
    ChannelsReason,
    DeliveryReason,
    DeliveryState,
    Kind,
    Level,
    judge,
)
from services.xcom.domain.settings import Route
from services.xcom.escalation.domain.incidents import Recipient, recipients_of_the_end

NOW = datetime(2026, 3, 1, 3, tzinfo=UTC)
HOOK, MAIL, SMS = Route("webhook"), Route("email"), Route("sms")
JANE = Route("email", "jane@example.com")


def failed(
    level: Level = Level.HIGH,
    *others: tuple[Route, DeliveryState],
    kind: Kind = Kind.DANGER,
    reason: str = "",
    settled: bool = False,
    age: timedelta = timedelta(),
) -> FailedMessage:
    siblings = [Sibling("dlv-1", HOOK, DeliveryState.DEAD)]
    siblings += [
        Sibling(f"dlv-{place}", route, state) for place, (route, state) in enumerate(others, 2)
    ]
    return FailedMessage("msg-1", level, kind, "SOL long", reason, NOW - age, settled, siblings)


@pytest.mark.parametrize(
    ("dead", "fallbacks"),
    [
        (failed(), [MAIL, SMS, JANE]),
        (failed(Level.HIGH, (MAIL, DeliveryState.SENT)), [SMS, JANE]),
        (failed(settled=True), []),
        (failed(kind=Kind.NEWS), []),
        (failed(reason=ChannelsReason.DELIVERY_DEAD), []),
        (failed(Level.MEDIUM), [MAIL, SMS]),
        (failed(Level.MEDIUM, (MAIL, DeliveryState.QUEUED)), []),
        (failed(Level.MEDIUM, (Route("log"), DeliveryState.SENT)), [MAIL, SMS]),
        (failed(Level.LOW), []),
        (failed(Level.ACTION), []),
    ],
)
def test_who_hears_it_instead(dead: FailedMessage, fallbacks: list[Route]) -> None:
    assert dead.fallbacks([HOOK, MAIL, SMS], [JANE]) == fallbacks


@given(hours=st.floats(0, 1000))
def test_the_rest_grows_with_the_age_and_is_bounded(hours: float) -> None:
    rest = failed(age=timedelta(hours=hours)).rest(NOW)
    assert rest is not None
    assert timedelta(minutes=15) <= rest <= timedelta(hours=6)


def test_what_nobody_waits_for_is_given_up() -> None:
    assert failed(settled=True).rest(NOW) is None
    assert failed(Level.ACTION).rest(NOW) is None
    assert failed(Level.LOW).rest(NOW) is None
    assert failed(Level.MEDIUM, age=timedelta(hours=23)).rest(NOW) is not None
    assert failed(Level.MEDIUM, age=timedelta(hours=25)).rest(NOW) is None


def test_a_death_is_told_in_few_words() -> None:
    answer = Answer(accepted=False, error="answered HTTP 404 Not Found")
    subject, body = failure_notice([failed()], "webhook", answer, DeliveryReason.ACCEPTED, True)
    assert subject == "HIGH could not be delivered by webhook: 404"
    assert "- SOL long" in body and "answered HTTP 404 Not Found" in body
    assert reason_of(Answer(accepted=False, error="550 nobody")) == "550 nobody"


@pytest.mark.parametrize(
    ("was_refused", "try_number", "state"),
    [
        (False, 1, DeliveryState.QUEUED),
        (True, 2, DeliveryState.DEAD),
        (False, 8, DeliveryState.DEAD),
    ],
)
def test_a_final_answer_is_believed_the_second_time(
    was_refused: bool, try_number: int, state: DeliveryState
) -> None:
    answer = Answer(accepted=False, error="answered HTTP 410", permanent=True)
    assert judge(answer, try_number, 0.0, was_refused=was_refused).state is state


def test_an_end_rings_only_where_nothing_else_was_heard() -> None:
    heard = [
        Recipient(Route("voice")),
        Recipient(Route("log")),
        Recipient(Route("voice", "+49"), "jane"),
        Recipient(JANE, "jane"),
    ]
    assert recipients_of_the_end(heard, {"voice", "email", "log"}) == [heard[0], heard[1], heard[3]]
    assert recipients_of_the_end(heard, {"email"}) == [heard[3]]
