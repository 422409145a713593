"""What a private key or a seed phrase looks like, so that none is ever taken, stored, sent or repeated.

Shapes, and the words of BIP-39 (English); no chain. Texts of ordinary length cost one comparison.
"""

import re
import unicodedata
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Final

from shared import base58
from shared.errors import InvalidArgument

REASON: Final = "PRIVATE_KEY_REFUSED"
REMOVED: Final = "[removed: looks like a private key or a seed phrase]"
# Shorter than the shortest shape below (twelve words of three letters): no secret.
SHORTEST_SECRET_LENGTH: Final = 47

_SEED_WORD_COUNTS = frozenset({12, 15, 18, 21, 24})
_SHORTEST_PHRASE = min(_SEED_WORD_COUNTS)
# Of a text that is as long as a phrase, so many words may be mistyped and it is still one.
_KNOWN_SHARE = 5 / 6
_WIF_VERSIONS = frozenset({0x80, 0xEF})
_INVISIBLE = re.compile("[\u200b-\u200f\u2060\ufeff\u00ad]")
# What every key in letters and digits needs; only such runs are looked at closely.
_RUN = re.compile(r"[0-9A-Za-z]{51,}")
_HEX_KEY = re.compile(r"(?:0x)?(?:[0-9a-f]{128}|[0-9a-f]{64})", re.IGNORECASE)
_BASE58_KEY = re.compile(r"[1-9A-HJ-NP-Za-km-z]{51,128}")
_EXTENDED_PRIVATE = re.compile(r"[a-zA-Z]prv[1-9A-HJ-NP-Za-km-z]{100,108}")
_BYTE_LIST = re.compile(r"[\[{(] ?((?:\d{1,3}[,; ]{1,3}){31,63}\d{1,3})[, ]{0,2}[\])}]")
# The place of a transaction in an explorer: its hash, or its signature, is public.
_TRANSACTION_LINK = re.compile(r"/(?:tx|txs|transaction)/(?:0x)?[0-9A-Za-z]{43,128}(?![0-9A-Za-z])")
_WORD = re.compile(r"[^\W\d_]+")
_LABEL = re.compile(r"^[^:=]{0,40}[:=]")


def refuse_secret(text: str, field: str) -> None:
    """Raises PRIVATE_KEY_REFUSED when the text is, or holds, something shaped like a secret. The error names
    the field, never the value."""
    if looks_secret(text):
        raise InvalidArgument(
            REASON,
            f"{field} looks like a private key or a seed phrase; it was not stored. Take it out.",
            fields={field: "looks like a private key or a seed phrase"},
        )


def without_secrets(text: str) -> str:
    """The text with a sentence in place of each line that holds a secret, or of it all when only the whole
    does: what must be told is told all the same."""
    if not looks_secret(text):
        return text
    kept = "\n".join(REMOVED if looks_secret(line) else line for line in text.split("\n"))
    return REMOVED if looks_secret(kept) else kept


def looks_secret(text: str) -> bool:
    """Keys of 64 bytes (base58, hex, a list of bytes), hex keys of 32 bytes, WIF, extended private keys,
    12 or more words of BIP-39 in a row, and texts of 12, 15, 18, 21 or 24 words most of which are such words,
    whatever the white space between them. Links to a transaction are none.
    """
    if len(text) < SHORTEST_SECRET_LENGTH:
        return False
    plain = " ".join(_unfolded(text).split())
    if "/t" in plain:
        plain = _TRANSACTION_LINK.sub(" ", plain)
    return _key_shaped(plain) or _broken_key(plain) or _phrase_shaped(plain)


def _unfolded(text: str) -> str:
    return text if text.isascii() else _INVISIBLE.sub("", unicodedata.normalize("NFKC", text))


def _key_shaped(text: str) -> bool:
    return any(map(_is_key, _RUN.findall(text))) or any(
        _is_byte_list(found.group(1)) for found in _BYTE_LIST.finditer(text)
    )


def _is_key(run: str) -> bool:
    if _HEX_KEY.fullmatch(run) or _EXTENDED_PRIVATE.fullmatch(run):
        return True
    return any(map(_is_base58_key, _BASE58_KEY.findall(run)))


def _broken_key(text: str) -> bool:
    """A key written in pieces. Base58 only when it is all there is: words run together may look like it."""
    joined = text.replace(" ", "")
    if len(joined) == len(text):
        return False
    if any(map(_HEX_KEY.fullmatch, _RUN.findall(joined))):
        return True
    bare = _LABEL.sub("", joined, count=1)
    return any(_RUN.fullmatch(form) and _is_key(form) for form in dict.fromkeys((joined, bare)))


def _is_byte_list(text: str) -> bool:
    numbers = [int(number) for number in re.findall(r"\d+", text)]
    return len(numbers) in (32, 64) and max(numbers) <= 255


def _is_base58_key(run: str) -> bool:
    if run.isalpha() or run.islower() or run.isupper():
        return False  # Words run together; 51 random base58 letters hold digits and both cases.
    raw = base58.decode(run)
    if raw is not None and len(raw) == 64:
        return True
    payload = base58.check_decode(run)
    return payload is not None and len(payload) in (33, 34) and payload[0] in _WIF_VERSIONS


def _phrase_shaped(text: str) -> bool:
    # Numbers, commas and quotes between the words ("1. abandon, 2. ability") hide nothing.
    marks = list(map(_seed_words().__contains__, _WORD.findall(text.lower())))
    if _longest_run(marks) >= _SHORTEST_PHRASE:
        return True
    label = _LABEL.match(text)
    skipped = len(_WORD.findall(label.group())) if label else 0
    return _is_mistyped_phrase(marks) or _is_mistyped_phrase(marks[skipped:])


def _is_mistyped_phrase(marks: list[bool]) -> bool:
    return len(marks) in _SEED_WORD_COUNTS and sum(marks) >= _KNOWN_SHARE * len(marks)


def _longest_run(marks: list[bool]) -> int:
    breaks = [-1, *_unknown_places(marks), len(marks)]
    return max(after - before - 1 for before, after in pairwise(breaks))


def _unknown_places(marks: list[bool]) -> Iterator[int]:
    return (place for place, known in enumerate(marks) if not known)


@cache
def _seed_words() -> frozenset[str]:
    return frozenset((Path(__file__).with_name("seed_words.txt")).read_text(encoding="ascii").split())
