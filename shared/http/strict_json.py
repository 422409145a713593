"""JSON as the standard has it, and no worse: what a hostile or broken sender may not slip past
us."""

import json
import math
import re
from collections.abc import Iterator, Sequence

import msgspec

MAX_DEPTH = 32
# Longer ones overflow a double and nobody means them.
_MAX_INTEGER_DIGITS = 300
# A run of so many digits shows as this many in a row among every tenth byte.
_LONG_RUN = re.compile(rb"[0-9]{%d}" % (_MAX_INTEGER_DIGITS // 10))
_CONTAINERS = frozenset((dict, list))
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
        value = _parse_quickly(text)
    except (msgspec.MsgspecError, RecursionError, ValueError):
        value = _parse_strictly(text)
    _check_depth(value, max_depth)
    return value


def _parse_quickly(text: bytes) -> object:
    """Raises for what is wrong, and for what msgspec may take and we do not.

    Of a doubled key it keeps one, so that the value written again has fewer quotes; an escaped
    quote could stand in for those, an escape for what no database holds.
    """
    value: object = msgspec.json.decode(text)
    # One sign is looked for ten times as fast as two.
    if (b"\\" in text and b"\\u" in text) or _LONG_RUN.search(text[::10]):
        raise BadJson("to be looked at")
    if msgspec.json.encode(value).count(b'"') != text.count(b'"'):
        raise BadJson("an object has a key twice")
    return value


def _parse_strictly(text: bytes) -> object:
    """Ten times slower; says what is wrong."""
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
        level = [child for parent in level for child in _containers(parent)]
        if not level:
            return
    raise BadJson("nested too deeply")


def _containers(parent: object) -> Sequence[object]:
    """Lists and objects in this one; most often there are none."""
    if not isinstance(parent, dict | list):
        return ()
    children = parent.values() if isinstance(parent, dict) else parent
    if _CONTAINERS.isdisjoint(map(type, children)):
        return ()
    return [child for child in children if isinstance(child, dict | list)]


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
