"""What a sync remembers of the last answers: right, or nothing."""

from __future__ import annotations

import numpy as np
import pytest

from services.positions.sync.domain.answer_columns import AnswerColumns
from services.positions.sync.store.id_cache import IdCache

KEYS = np.array([30, 10, 20])


def naming(*ids: str) -> AnswerColumns:
    return AnswerColumns(ids, (), {}, (), (True,), (frozenset(),))


@pytest.fixture
def memory() -> IdCache:
    """The last answer of feed 1 named p (key 10) and q (key 30)."""
    memory = IdCache()
    memory.keep([1], naming("p", "q"), KEYS, np.array([1, 0]))
    return memory


def test_the_same_ids_are_found_wherever_their_rows_lie_now(memory: IdCache) -> None:
    for keys in (KEYS, KEYS[::-1], np.array([5, 30, 40, 10])):
        places = memory.places([1], naming("p", "q"), keys)
        assert places is not None and keys[places].tolist() == [10, 30]


@pytest.mark.parametrize("ids", [("q", "p"), ("p",), ("p", "q", "r"), ("pq",), ()])
def test_other_ids_or_another_order_are_looked_up(memory: IdCache, ids: tuple[str, ...]) -> None:
    assert memory.places([1], naming(*ids), KEYS) is None


@pytest.mark.parametrize("keys", [[10, 20], [30], [], [10, 31, 40]])
def test_a_position_that_is_gone_makes_all_be_looked_up(memory: IdCache, keys: list[int]) -> None:
    assert memory.places([1], naming("p", "q"), np.array(keys, np.int64)) is None


def test_another_feed_knows_nothing_of_it(memory: IdCache) -> None:
    assert memory.places([2], naming("p", "q"), KEYS) is None


def test_an_answer_with_a_new_position_is_not_remembered(memory: IdCache) -> None:
    memory.keep([1], naming("p", "r"), KEYS, np.array([1, -1]))
    assert memory.places([1], naming("p", "q"), KEYS) is None
    assert memory.places([1], naming("p", "r"), KEYS) is None
