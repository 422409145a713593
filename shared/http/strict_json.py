"""JSON as the standard has it, and no worse: what a hostile or broken sender may not slip past
us."""

import json
import math
import re
from collections.abc import Iterator

MAX_DEPTH = 32
# Longer ones overflow a double and nobody means them.
_MAX_INTEGER_DIGITS = 300
# Halves of a surrogate pair and NUL: legal escapes that neither UTF-8 nor a database text can hold.
_SUSPECT_ESCAPE = re.compile(rb"\\u(?:[dD][89a-fA-F]|0000)")


class BadJson(ValueError):
    """The text is not JSON we accept; the message quotes nothing of it."""


def parse(text: bytes, *, max_depth: int = MAX_DEPTH) -> object:
    """The value of a UTF-8 JSON text.

    Refuses NaN and Infinity, numbers beyond a double, doubled keys, depth beyond `max_depth`, text
    that is not UTF-8, and strings that no database holds. Raises BadJson.
    """
    try:
        value: object = json.loads(
            text.decode("utf-8-sig"),
            parse_constant=_refuse_constant,
            parse_float=_finite,
            parse_int=_integer,
            object_pairs_hook=_object,
        )
    except UnicodeDecodeError as problem:
        raise BadJson("not UTF-8") from problem
    except RecursionError as problem:
        raise BadJson("nested too deeply") from problem
    except json.JSONDecodeError as problem:
        words = "empty" if not text.strip() else f"not JSON at byte {problem.pos}"
        raise BadJson(words) from problem
    _check_depth(value, max_depth)
    if _SUSPECT_ESCAPE.search(text):
        _check_strings(value)
    return value


def _refuse_constant(word: str) -> object:
    raise BadJson(f"{word} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise BadJson("a number is too large")
    return number


def _integer(text: str) -> int:
    if len(text) > _MAX_INTEGER_DIGITS:
        raise BadJson("a number is too large")
    return int(text)


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise BadJson("an object has a key twice")
    return value


def _check_depth(value: object, max_depth: int) -> None:
    """Level by level, so that depth costs no stack."""
    level = [value]
    for _ in range(max_depth + 1):
        level = [
            child
            for parent in level
            if isinstance(parent, dict | list)
            for child in (parent.values() if isinstance(parent, dict) else parent)
            if isinstance(child, dict | list)
        ]
        if not level:
            return
    raise BadJson("nested too deeply")


def _check_strings(value: object) -> None:
    for text in _strings(value):
        if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
            raise BadJson("a string holds what is not text")


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for child in value:
            yield from _strings(child)
    elif isinstance(value, dict):
        for key, child in value.items():
            yield key
            yield from _strings(child)
