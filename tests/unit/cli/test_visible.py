"""Nothing that is printed commands a terminal, whatever a thing is called."""

from __future__ import annotations

import io

import pytest
from rich.text import Text

from services.cli import output

NASTY = "a\x1b]0;owned\x07b\x1b[2Jc\x9b31md\x08\u202eevil\u2066\u200b\r[red]x[/][/nothing]"


@pytest.fixture
def printed() -> io.StringIO:
    made = io.StringIO()
    output.console.file = made
    yield made
    output.console.file = None


def _table() -> object:
    made = output.table("names", ["name", "text"])
    made.add_row(NASTY, Text(NASTY, style="red"))
    return made


@pytest.mark.parametrize("what", [NASTY, Text(NASTY), _table()], ids=["text", "styled", "table"])
def test_a_name_is_shown_and_commands_nothing(printed: io.StringIO, what: object) -> None:
    output.console.print(what)
    said = printed.getvalue()
    assert not set(said) & set("\x1b\x07\x9b\x08\u202e\u2066\u200b\r")
    plain = said.replace("\n", "").replace(" ", "").replace("\u2502", "")
    assert "\\x1b" in plain and "\\u202e" in plain


def test_markup_in_a_name_is_a_name(printed: io.StringIO) -> None:
    output.console.print("[red]x[/] [/nothing] :smile:")
    assert printed.getvalue() == "[red]x[/] [/nothing] :smile:\n"


def test_ordinary_words_of_any_language_stay(printed: io.StringIO) -> None:
    words = "Zürich 東京 \U0001f600 naïve — ok"
    output.console.print(words)
    assert printed.getvalue().strip() == words
