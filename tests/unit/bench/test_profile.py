"""The profile page: whose a stack is, and that no missed goal goes unexplained."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench.goals import GOALS
from tests.bench.profile import groups, page, servers, starts
from tests.bench.profile.distances import DISTANCES
from tests.bench.profile.sampler import Sampler
from tests.bench.profile.servers import Spent

CALL = "the stack around a call: identity, deadline, words, metrics"
DOCS = Path(__file__).resolve().parents[3] / "docs"
STEP = ("/x/python3.11/asyncio/events.py", 78, "Handle._run")
LIBRARY = "/v/lib/python3.11/site-packages"


@pytest.mark.parametrize(
    ("file", "whose"),
    [
        ("/x/services/alerts/alerts/domain/levels.py", "rules: numpy and pure Python"),
        (f"{LIBRARY}/numpy/_core/fromnumeric.py", "rules: numpy and pure Python"),
        ("/x/services/alerts/store/commit.py", "statements and rows: driver, store"),
        (f"{LIBRARY}/asyncpg/pool.py", "statements and rows: driver, store"),
        ("/x/shared/codec.py", "messages: made, read, checked"),
        (
            "/x/shared/rpc/intercept.py",
            "the stack around a call: identity, deadline, words, metrics",
        ),
        ("/x/services/alerts/alerts/service/evaluating.py", "use cases"),
        (f"{LIBRARY}/grpc/aio/_server.py", "gRPC's Python"),
    ],
)
def test_a_stack_is_whose_its_innermost_known_function_is(file: str, whose: str) -> None:
    inner = ("/v/lib/python3.11/json/decoder.py", 1, "decode")
    outer = ("/x/services/price/server.py", 1, "main")
    assert groups.group_of([inner, (file, 1, "work"), STEP, outer]) == whose


def test_a_step_of_the_loop_without_a_function_of_ours_is_the_loops() -> None:
    assert groups.group_of([STEP]) == groups.LOOP
    assert groups.group_of([("/x/python3.11/selectors.py", 1, "EpollSelector.select"), STEP]) == (
        groups.OUTSIDE
    )
    assert groups.group_of([]) == groups.REST


def test_shares_add_up_to_all_and_functions_are_told_by_their_file() -> None:
    judge = ("/x/services/alerts/domain/levels.py", 3, "judge")
    seen = {(judge, STEP): 3, (STEP,): 1}
    assert groups.shares(seen) == {"rules: numpy and pure Python": 0.75, groups.LOOP: 0.25}
    assert groups.functions(seen, 1) == {"judge in services/alerts/domain/levels.py": 0.75}
    assert groups.shares({}) == {}


def test_what_was_used_is_what_each_process_added() -> None:
    before = {"alerts": Spent(1.0, 2.0)}
    after = {"price": Spent(0.1, 0.0), "alerts": Spent(1.5, 2.25)}
    assert list(servers.used(before, after).items()) == [
        ("alerts", Spent(0.5, 0.25)),
        ("price", Spent(0.1, 0.0)),
    ]


def test_imports_are_added_up_by_library() -> None:
    told = (
        "import time: self [us] | cumulative | imported package\n"
        "import time:      2000 |       2000 |   numpy._core\n"
        "import time:      1000 |       4000 | numpy\n"
        "import time:       500 |        500 | json.decoder\n"
    )
    found = starts.by_library(told)
    assert found == {"numpy": 0.003, "the standard library": 0.0005, "all else": 0}


def test_a_sampler_sees_the_function_that_works(tmp_path: Path) -> None:
    file = tmp_path / "seen.json"
    sampler = Sampler(file)
    with sampler.listening():
        sampler.begin()
        _work()
        sampler.tell()
    seen = servers.read(file)
    assert any("_work" in name for name in groups.functions(seen, 3))


def _work() -> int:
    return sum(number * number for number in range(3_000_000))


def test_every_missed_goal_is_explained_on_the_page() -> None:
    missed = page.missed_of((DOCS / "performance.md").read_text())
    assert missed and set(missed) <= set(DISTANCES) <= set(GOALS)
    said = (DOCS / "profile.md").read_text()
    for goal, words in DISTANCES.items():
        assert f"**{goal}.** {words}" in said
