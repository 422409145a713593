"""Kinds of fields of an imported row as pydantic reads them, and its errors as reasons and
sentences of ours. Guesses nothing.
"""

from collections.abc import Mapping
from typing import Annotated, Final, TypeVar

from pydantic import BeforeValidator, Field, StringConstraints, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from services.positions.files.domain.csv_text import DottedNumber
from services.positions.files.service.file_rows import RowProblem

T = TypeVar("T")

_NO_CONTROL: Final = r"^[^\x00-\x1f\x7f-\x9f]*$"
_NOT_A_NUMBER: Final = (
    "NOT_A_NUMBER",
    "Must be a plain number with a dot, without signs for money or thousands.",
)
# By the type of pydantic's error. The sentences of those that are left out stand with their fields.
_PROBLEMS: Final[Mapping[str, tuple[str, str]]] = {
    "float_parsing": _NOT_A_NUMBER,
    "float_type": _NOT_A_NUMBER,
    "finite_number": ("NOT_FINITE", "Must be a finite number."),
    "greater_than_equal": ("NEGATIVE", "Must not be below 0."),
    "string_type": ("INVALID_FIELD", "Must be a text."),
    "string_unicode": ("INVALID_FIELD", "Holds half of a character pair."),
    "string_too_long": ("INVALID_FIELD", "Must not be longer than {max_length} characters."),
    "string_pattern_mismatch": ("INVALID_FIELD", "Must not hold control characters."),
    "string_too_short": ("MISSING_FIELD", "Must be given."),
    "missing": ("MISSING_FIELD", "Must be given."),
}


def problem(reason: str, message: str) -> PydanticCustomError:
    """What a validator raises: an upper-case word and a sentence that never repeats the value."""
    return PydanticCustomError(reason, message)


def _plain(cell: object) -> object:
    if isinstance(cell, DottedNumber):
        raise problem(
            "AMBIGUOUS_NUMBER",
            "The dot may be a decimal or a thousand sign: write 1250, or 1.25 for one and a "
            "quarter.",
        )
    # pydantic also reads true and "1_000".
    if isinstance(cell, bool) or (isinstance(cell, str) and "_" in cell):
        raise problem(*_NOT_A_NUMBER)
    return cell


def name_of(*, min_length: int = 0, max_length: int | None = None) -> StringConstraints:
    """A name without surrounding space and without characters of control."""
    return StringConstraints(
        min_length=min_length, max_length=max_length, strip_whitespace=True, pattern=_NO_CONTROL
    )


# USD or a ratio, finite and >= 0.
Amount = Annotated[float, Field(ge=0, allow_inf_nan=False), BeforeValidator(_plain)]


def word(cell: object) -> str:
    """A text without surrounding space."""
    if not isinstance(cell, str):
        raise problem(*_PROBLEMS["string_type"])
    return cell.strip()


def read_row(
    kind: TypeAdapter[T], cells: Mapping[str, object], sentences: Mapping[tuple[str, str], str]
) -> T:
    """A row of this kind. Raises RowProblem for the first field, in the order they are declared,
    that cannot be. `sentences`: for people, by field and type of pydantic's error.
    """
    try:
        return kind.validate_python(cells)
    except ValidationError as error:
        raise _row_problem(error.errors(include_url=False)[0], sentences) from None


def _row_problem(error: ErrorDetails, sentences: Mapping[tuple[str, str], str]) -> RowProblem:
    field, kind, context = str(error["loc"][0]), error["type"], error.get("ctx", {})
    if kind not in _PROBLEMS:
        return RowProblem(field, kind, error["msg"])
    if kind == "float_type" and isinstance(error["input"], int):
        kind = "finite_number"  # more digits than a float holds
    reason, message = _PROBLEMS[kind]
    return RowProblem(field, reason, sentences.get((field, kind), message).format(**context))
