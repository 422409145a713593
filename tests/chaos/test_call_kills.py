"""xcom killed while it calls people: never silent, never more calls than the limits."""

from __future__ import annotations

import pytest

from tests.chaos.call_kills import call_kills
from tests.fakes.databases import Databases

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


async def test_fifty_kills_leave_nobody_uncalled_and_nobody_called_too_often(
    databases: Databases,
) -> None:
    outcomes = await call_kills(databases, 50, seed=7)
    assert len(outcomes) == 10
    assert [one for one in outcomes if not one.is_as_promised] == []
    assert any(one.own_count == 4 for one in outcomes)
