"""What a seed phrase of BIP-39 (English) looks like among other words. Every step is linear in the
text.
"""

import re
from collections.abc import Iterator
from functools import cache
from itertools import pairwise, repeat, takewhile
from pathlib import Path
from typing import Final

_COUNTS: Final = frozenset({12, 15, 18, 21, 24})
SHORTEST_PHRASE: Final = min(_COUNTS)
# Of a text that is nothing but a phrase, one word in so many may be mistyped.
_MISTYPED_SHARE: Final = 6
# Each word of the list is known by its first four letters, and is often kept by them alone.
_START_LENGTH: Final = 4
_LONGEST_WORD: Final = 8
_WHOLE, _START = 1, 2

_OTHER_SIGNS = re.compile(r"[^\w\x00-\x7f]+")
_LOWER_LETTERS = bytes(
    ord(chr(byte).lower()) if chr(byte).isalpha() or byte >= 0x80 else ord(" ")
    for byte in range(0x80)
) + bytes(range(0x80, 0x100))
_IS_WHOLE = bytes(kind & _WHOLE for kind in range(0x100))
_IS_START = bytes(bool(kind & _START) for kind in range(0x100))
_RUN = b"\1" * SHORTEST_PHRASE
_LABEL = re.compile(r"^[^:=]{0,40}[:=]")
# The numbers beside the words of a phrase count them; longer ones are amounts.
_AMOUNT = re.compile(r"[0-9]{3}|[0-9][.,][0-9]")
# Words that are not of the list, near as some are to it: a text that holds one is a sentence.
_COMMON = frozenset(
    b"""
    a an and anyone anything are as at ath atr bad be been being both bought btc but buy by
    cannot closes could cpi days did do does done down drops dydx ema eth eur even ever every
    falls far fed fees fell for from full funds gains gave gets getting given going gone got had
    has he her here hers him his hit hours how however i if in is isn it its kept knew known
    last less levels longs look loss losses lot low made many me might min money months most my
    no none nor not of on ones opens or others our ours out paid part past pays per pnl quite
    really rise rises rsi said says see seen set several she shorts should so sol sold some
    something sometimes stays stop stops take takes than the their them these things think those
    though through till to told too took trends tried up us usd usdc usdt using waits wants was
    we week weeks well went were whatever whenever which while who whole whose why with within
    won would years yes yet yours
    """.split()
)

# Words of the list that people write before a phrase.
_TELLING = frozenset(b"seed phrase secret key word".split())


def is_phrase(text: str) -> bool:
    """Twelve or more words of the list, or their first four letters, in a row; or 12, 15, 18, 21 or
    24, of which one may be mistyped, or one in six when the text is nothing else.

    Signs, numbers and white space between the words hide nothing, nor does a label before them.
    """
    words = _words(text)
    if len(words) < SHORTEST_PHRASE:
        return False
    kinds = bytes(map(_kinds().get, words, repeat(0)))
    if _RUN in kinds.translate(_IS_WHOLE) or _RUN in kinds.translate(_IS_START):
        return True
    if _one_mistyped(words, kinds.translate(_IS_WHOLE)):
        return True
    label = _LABEL.match(text)
    skipped = len(_words(label.group())) if label else 0
    places = {len(words), len(words) - skipped} & _COUNTS
    return not _AMOUNT.search(text) and any(
        _nothing_but_a_phrase(words[-count:], kinds[-count:]) for count in places
    )


def _words(text: str) -> list[bytes]:
    """In lower case. Bytes, as they are cut and looked up several times faster."""
    plain = text if text.isascii() else _OTHER_SIGNS.sub(" ", text).lower()
    return plain.encode(errors="replace").translate(_LOWER_LETTERS).split()


def _one_mistyped(words: list[bytes], marks: bytes) -> bool:
    place = 0
    for before, after in pairwise(map(len, marks.split(b"\0"))):
        place += before
        if (
            before + after >= SHORTEST_PHRASE - 1
            and len(words[place]) >= _START_LENGTH
            and _is_near(words[place])
        ):
            told = takewhile(_TELLING.__contains__, words[place - before : place])
            if before + 1 + after - sum(1 for _ in told) in _COUNTS:
                return True
        place += 1
    return False


def _nothing_but_a_phrase(words: list[bytes], kinds: bytes) -> bool:
    starts = [word for word, kind in zip(words, kinds, strict=True) if not kind & _START]
    if len(starts) <= 1 and all(
        len(word) <= _START_LENGTH + 1 and word not in _COMMON for word in starts
    ):
        return True
    unknown = [word for word, kind in zip(words, kinds, strict=True) if not kind & _WHOLE]
    if len(unknown) > len(words) // _MISTYPED_SHARE or not _COMMON.isdisjoint(unknown):
        return False
    return len(unknown) == 1 or all(map(_is_near, unknown))


def _is_near(word: bytes) -> bool:
    """Whether one letter parts it from a word of the list: missing, too many, wrong, or in a wrong
    place.
    """
    if len(word) > _LONGEST_WORD + 1 or word in _COMMON:
        return False
    kinds, shorter = _kinds(), _one_letter_less()
    return word in shorter or any(
        form in shorter or kinds.get(form, 0) & _WHOLE for form in _without_one(word)
    )


def _without_one(word: bytes) -> Iterator[bytes]:
    return (word[:place] + word[place + 1 :] for place in range(len(word)))


@cache
def _one_letter_less() -> frozenset[bytes]:
    return frozenset(form for word in _seed_words() for form in _without_one(word))


@cache
def _kinds() -> dict[bytes, int]:
    """What each word is: of the list, the start of one that stands for it, or both."""
    kinds = {word[:_START_LENGTH]: _START for word in _seed_words()}
    for word in _seed_words():
        kinds[word] = kinds.get(word, 0) | _WHOLE
    return kinds


@cache
def _seed_words() -> tuple[bytes, ...]:
    return tuple(Path(__file__).with_name("seed_words.txt").read_bytes().split())
