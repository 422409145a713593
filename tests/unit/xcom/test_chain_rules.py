"""Who of a chain is notified next, also of one that was changed since it began."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from services.xcom.domain.messages import Delivery, DeliveryReason, Level
from services.xcom.domain.settings import Contact, Route
from services.xcom.escalation.domain.chain import Reachable, left_to_notify

NOW = datetime(2026, 11, 20, 23, 0, tzinfo=UTC)


def chain(*names: str) -> list[Reachable]:
    """`jane` at her own address, `jane:new` at that one, `jane:` nowhere."""
    found = []
    for place, one in enumerate(names):
        name, _, address = one.partition(":")
        routes = [Route("email", address or name)] if one[-1] != ":" else []
        found.append(Reachable(place, Contact(name, 60, tuple(routes)), routes))
    return found


def notified(*names: str) -> list[Delivery]:
    return [
        Delivery(
            name, "msg", "email", Level.HIGH, "", NOW, NOW, address=name, contact=name,
            reason=DeliveryReason.ESCALATION,
        )
        for name in names
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("now", "step", "told", "left"),
    [
        (["jane", "joe"], 0, [], ["jane", "joe"]),
        (["jane", "joe"], 1, ["jane"], ["joe"]),
        (["jane", "joe"], 2, ["jane", "joe"], []),
        (["joe"], 1, ["jane"], ["joe"]),
        (["joe", "jim"], 1, ["jane"], ["joe", "jim"]),
        (["joe", "jane"], 1, ["jane"], ["joe"]),
        (["jim", "jane", "joe"], 1, ["jane"], ["jim", "joe"]),
        (["jane:new", "joe"], 1, ["jane"], ["jane", "joe"]),
        (["jane:", "joe"], 0, [], ["joe"]),
        (["jane", "joe"], 2, ["joe"], ["jane"]),
        ([], 1, ["jane"], []),
    ],
    ids=[
        "from-the-first", "in-order", "all-of-them", "one-taken-out", "the-first-taken-out",
        "turned-round", "one-put-in-front", "another-address", "nowhere", "reachable-again",
        "none-left",
    ],
)  # fmt: skip
def test_nobody_is_left_out_and_nobody_called_again_for_his_place(
    now: Sequence[str], step: int, told: Sequence[str], left: Sequence[str]
) -> None:
    found = left_to_notify(chain(*now), step, notified(*told))
    assert [one.contact.name for one in found] == left


def test_whose_only_way_was_used_already_still_has_a_turn_of_waiting() -> None:
    first = [Delivery("d", "msg", "email", Level.HIGH, "", NOW, NOW, address="jane")]
    found = left_to_notify(chain("jane", "joe"), 0, first)
    assert [one.contact.name for one in found] == ["jane", "joe"]
    assert [one.contact.name for one in left_to_notify(chain("jane", "joe"), 1, first)] == ["joe"]
