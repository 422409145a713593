"""The venues that are asked and the names that lists and requests know are one list."""

from services.positions.domain import position
from services.positions.venues import VENUES


def test_every_venue_that_is_asked_has_a_name_that_lists_know() -> None:
    assert {*VENUES, "manual", "demo"} == set(position.VENUES)
