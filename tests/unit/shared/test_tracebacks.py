"""Tracebacks in logs are Python's own, and may be made while something else is parsed."""

import ast
import gc
from collections.abc import Iterator

import pytest

from shared import log, tracebacks

SOURCE = "\n".join(f"a{number} = (b[{number}] + c({number})) * d" for number in range(400))


def failed() -> BaseException:
    """With a cause, a context and members of its own."""
    try:
        try:
            int("first") + len("second")
        except ValueError as cause:
            raise ExceptionGroup("several", [KeyError("member")]) from cause
    except ExceptionGroup as raised:
        return raised


def text_of(error: BaseException) -> str:
    return tracebacks.text((type(error), error, error.__traceback__))


class Forgotten:
    """Logs a failure when it is collected, as a task does whose exception nobody asked for."""

    def __init__(self) -> None:
        self.itself = self

    def __del__(self) -> None:
        log.get_logger().error("never retrieved", exc_info=failed())


@pytest.fixture
def collecting_often() -> Iterator[None]:
    before = gc.get_threshold()
    gc.set_threshold(50, 1, 1)
    yield
    gc.set_threshold(*before)


def test_causes_and_members_of_groups_are_told_with_their_lines() -> None:
    text = text_of(failed())
    assert "ValueError: invalid literal" in text and "KeyError: 'member'" in text
    assert 'int("first") + len("second")' in text and "ExceptionGroup: several" in text
    assert "^" not in text and not text.endswith("\n")


@pytest.mark.slow
@pytest.mark.usefixtures("collecting_often")
def test_a_failure_logged_while_something_is_parsed_disturbs_neither(
    capsys: pytest.CaptureFixture[str],
) -> None:
    log.configure("price")
    for _ in range(20):
        Forgotten()
        ast.parse(SOURCE)
    assert capsys.readouterr().err.count("KeyError: 'member'") >= 15
