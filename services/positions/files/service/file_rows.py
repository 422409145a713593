"""Files as rows: text in UTF-8, the list of a JSON document, and one row after another taken or
refused. A file that cannot be read as rows raises InvalidArgument BAD_FILE.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar

from services.positions.files.domain.imports import RefusedTerms
from shared.errors import InvalidArgument
from shared.secret_shapes import looks_secret, refuse_secret

# Characters; the file of a key is no longer.
_KEY_FILE_LENGTH = 8192

T = TypeVar("T")
Row = tuple[int, Mapping[str, object]]


class RowProblem(Exception):
    """Why a row is not taken. The message never repeats the value."""

    def __init__(self, field: str, reason: str, message: str) -> None:
        super().__init__(message)
        self.field = field
        self.reason = reason
        self.message = message


def taken(
    rows: Iterable[Row], read: Callable[[int, Mapping[str, object]], T], field: str, twice: str
) -> tuple[list[T], list[RefusedTerms]]:
    """Every row as `read` makes it, and those it refuses. No two may have the same `field` (None:
    it says nothing yet); the second is refused with the reason `twice`.
    """
    found: list[T] = []
    refused: list[RefusedTerms] = []
    seen: set[object] = set()
    for line, cells in rows:
        try:
            row = read(line, cells)
            name = getattr(row, field)
            if name in seen:
                message = f"An earlier row of this file has the same {field}; keep one of them."
                raise RowProblem(field, twice, message)
            if name is not None:
                seen.add(name)
            found.append(row)
        except RowProblem as problem:
            refused.append(RefusedTerms(line, problem.field, problem.reason, problem.message))
    return found, refused


def decoded(content: bytes) -> str:
    """The text of a file, which is UTF-8."""
    if content.startswith(b"PK\x03\x04"):
        raise bad_file("is a spreadsheet's own format or an archive; save it as CSV in UTF-8")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise bad_file(f"is not UTF-8 (byte {error.start}); save it as UTF-8") from None
    # Every second byte of Latin letters in UTF-16 is 0, which is UTF-8 too.
    if "\0" in text[:4]:
        raise bad_file("is not UTF-8 but looks like UTF-16; save it as UTF-8")
    return text


def bad_file(problem: str) -> InvalidArgument:
    """The file as a whole cannot be read."""
    return InvalidArgument("BAD_FILE", f"The file {problem}.", fields={"content": problem})


@contextmanager
def unread_keys_refused(text: str) -> Iterator[None]:
    """A file that cannot be read as rows and looks like a key raises PRIVATE_KEY_REFUSED."""
    try:
        yield
    except InvalidArgument as error:
        if error.reason == "BAD_FILE":
            refuse_secret(text[:_KEY_FILE_LENGTH], "content")
        raise


def json_items(text: str, noun: str) -> list[object]:
    """The list that a JSON document is, or holds under `noun`."""
    try:
        # NaN and Infinity are let in here: they refuse their row, not the whole file.
        document: object = json.loads(text)
    except (ValueError, RecursionError) as error:
        place = f" (line {error.lineno})" if isinstance(error, json.JSONDecodeError) else ""
        raise bad_file(f"is not JSON{place}") from None
    if isinstance(document, dict):
        document = document.get(noun)
    if not isinstance(document, list):
        raise bad_file(f'is neither a JSON list nor an object {{"{noun}": [...]}}')
    if document and all(isinstance(item, int) for item in document[:3]):
        # A keypair's own file; of other numbers each is refused as a row.
        refuse_secret(text[:_KEY_FILE_LENGTH], "content")
    return document


def is_secret(cell: object) -> bool:
    """Whether a cell, or a list or an object in all, is shaped like a key or a seed phrase."""
    if isinstance(cell, str):
        return looks_secret(cell)
    return isinstance(cell, list | dict) and looks_secret(re.sub(r'["\s]', " ", json.dumps(cell)))
