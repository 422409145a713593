"""What a command of the schema is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.message import Message

UNARY_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Verb:
    """One command: an RPC, `price.PriceService.ListPrices`, and what of it is shown and asked.

    Fields are named by their paths in the request (`position.side`, `shocks.0.name`) and in a row
    of the answer. A list is paged by itself. `update_mask` holds what was given, and `fixed`.
    """

    name: str
    method: str
    # Fields given by their place, then those given as options; of both the last part is the name.
    arguments: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    # Other names of options, by path.
    renamed: Mapping[str, str] = field(default_factory=dict)
    fixed: Mapping[str, Any] = field(default_factory=dict)
    # Columns of a table of rows; empty: every field of one message.
    columns: tuple[str, ...] = ()
    # The repeated field whose messages are rows, when there are several.
    rows: str = ""
    # Another one, of which a table is said below on the error stream: where more is.
    rest: str = ""
    # The verb of the noun that runs when the argument is the word `all`.
    every: str = ""
    # An RPC whose answer fills the request's resource before options change it.
    base: str = ""
    # A text of a row that is all that is shown of it, a line each; what is said without rows.
    line: str = ""
    empty: str = ""
    # A question that --yes answers; a word that has to be typed into `confirm`.
    question: str = ""
    word: str = ""
    # A request's field that a file gives, as it is or as JSON; an answer's field that is written
    # to one.
    file: str = ""
    body: str = ""
    output: str = ""
    # Whether the answer is a failure: exit code 1.
    failed: Callable[[Message], bool] | None = None
    # When that is, as the help says it.
    failed_when: str = "it fails"
    help: str = ""
    example: str = ""
    seconds: float = UNARY_SECONDS


@dataclass(frozen=True, slots=True)
class Noun:
    """A group of commands; `panel` is its heading in `sonic --help`."""

    name: str
    help: str
    verbs: tuple[Verb, ...]
    panel: str
    # Whether each takes --test: a server of the command's own in the schema of tests.
    test: bool = False
