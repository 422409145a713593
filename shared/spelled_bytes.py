"""Keys spelled byte by byte: hexadecimal in groups, lists of numbers. Every step is linear in the
text.
"""

import re
from collections.abc import Iterator
from itertools import accumulate
from typing import Final

# Characters a stretch of nothing else needs to hold a key: 32 numbers of one figure with signs
# between.
_SHORTEST: Final = 63
_STRETCH = re.compile(rf"[0-9A-Fa-fxX\s,;:.\-_|/\\\"'\[\](){{}}]{{{_SHORTEST},}}")
# The rest of a word that goes on outside of the stretch.
_CUT_FIRST, _CUT_LAST = re.compile(r"^[0-9A-Fa-f]+"), re.compile(r"(?<![0-9A-Fa-f])[0-9A-Fa-f]++\Z")
# Before one byte, and not before a number of more digits: those are numbers side by side.
_PREFIX = re.compile(r"(?:\b0[xX]|\\[xX])(?=[0-9A-Fa-f]{1,2}(?![0-9A-Fa-f]))")
# With other signs than white space between them, groups are of one length and short.
_EVEN_GROUPS = tuple(
    re.compile(
        rf"(?<![0-9A-Fa-f])[0-9A-Fa-f]{{{length}}}"
        rf"(?:[^0-9A-Fa-f]{{1,4}}+[0-9A-Fa-f]{{{length}}}(?![0-9A-Fa-f])){{{64 // length - 1},}}+"
    )
    for length in (1, 2, 4, 8, 16)
)
# Before a number, which begins there; and what signs hold together: dates, amounts, UUIDs.
_START = re.compile(r"\b0[xX]")
_HELD_TOGETHER = re.compile(r"(?<![0-9A-Fa-f])[0-9A-Fa-f]++(?:[^0-9A-Fa-f\s]++[0-9A-Fa-f]++)++")
_SIGNS = re.compile(r"[^0-9A-Fa-f\s]+")
_HEX_LENGTHS: Final = (64, 128)
# Chance makes 24 letters and 40 figures of 64; figures alone are numbers, letters alone are words.
_LETTERS_SHARE, _FIGURES_SHARE = 1 / 10, 1 / 4

_BYTE_COUNTS: Final = frozenset({32, 64})
# As programs write an array of bytes that they take for an object.
_INDEX = re.compile(r"[\"'][0-9]{1,2}[\"']\s*:")
_NUMBERS = re.compile(r"(?<![\w.-])[\"']?[0-9]{1,3}(?:[,;\s\"']{1,4}[0-9]{1,3})+(?![\w.-])")
_MARKS = re.compile(r"[^0-9]+")
_OPENING, _CLOSING = re.compile(r"[\[({]\s*$"), re.compile(r"[\"']?[,;]?\s*[\])}]")


def spells_key(text: str) -> bool:
    """Whether the text holds 32 or 64 bytes, each written as a number,
    or as hexadecimal in groups."""
    return any(_holds_hex(stretch) or _holds_numbers(stretch) for stretch in _stretches(text))


def _stretches(text: str) -> Iterator[str]:
    for found in _STRETCH.finditer(text):
        stretch = found.group()
        if text[max(0, found.start() - 1) : found.start()].isalnum():
            stretch = _CUT_FIRST.sub("", stretch)
        yield (
            _CUT_LAST.sub("", stretch) if text[found.end() : found.end() + 1].isalnum() else stretch
        )


def _holds_hex(stretch: str) -> bool:
    stretch = _PREFIX.sub(" ", stretch)
    return any(
        _is_mixed(sum(map(str.isdigit, found.group())), sum(map(str.isalpha, found.group())))
        for groups in _EVEN_GROUPS
        for found in groups.finditer(stretch)
    ) or any(map(_is_broken_hex, _SIGNS.split(_HELD_TOGETHER.sub("-", _START.sub("- ", stretch)))))


def _is_broken_hex(part: str) -> bool:
    """Whether some words in a row, with white space alone between,
    are as long together as a key."""
    words = part.split()
    joined = "".join(words)
    ends = {0, *accumulate(map(len, words))}
    figures = list(accumulate(map(str.isdigit, joined), initial=0))
    for length in _HEX_LENGTHS:
        for start in ends & {end - length for end in ends}:
            count = figures[start + length] - figures[start]
            if _is_mixed(count, length - count):
                return True
    return False


def _is_mixed(figures: int, letters: int) -> bool:
    total = figures + letters
    return figures >= _FIGURES_SHARE * total and letters >= _LETTERS_SHARE * total


def _holds_numbers(stretch: str) -> bool:
    stretch = _INDEX.sub("", stretch)
    return any(_is_bytes(stretch, found) for found in _NUMBERS.finditer(stretch))


def _is_bytes(stretch: str, found: re.Match[str]) -> bool:
    written = re.findall("[0-9]+", found.group())
    if len(written) not in _BYTE_COUNTS:
        return False
    numbers = list(map(int, written))
    if max(numbers) > 255:
        return False
    if _OPENING.search(stretch, max(0, found.start() - 20), found.start()) and _CLOSING.match(
        stretch, found.end()
    ):
        return True
    # Bare numbers are bytes when they are as wide apart as bytes are, with one sign between.
    signs = {"".join(gap.split()) for gap in _MARKS.findall(found.group())}
    three_figures = sum(number >= 100 for number in numbers)
    is_spread = min(numbers) < 100 and max(numbers) >= 128 and three_figures >= len(numbers) / 6
    return len(signs) == 1 and is_spread
