"""What a private key or a seed phrase looks like, so that none is ever taken, stored, sent or
repeated.

Shapes, no chain. Every step is linear in the text: what is rare is looked for in a copy whose bytes
say only of what kind they are, and closely only where there is enough of it.
"""

import re
import unicodedata
from collections.abc import Iterator
from string import ascii_letters, digits, hexdigits
from typing import Final

from shared import base58
from shared.errors import InvalidArgument
from shared.seed_phrases import is_phrase
from shared.spelled_bytes import spells_key

REASON: Final = "PRIVATE_KEY_REFUSED"
REMOVED: Final = "[removed: looks like a private key or a seed phrase]"
# Shorter than the shortest shape below (twelve words of three letters): no secret.
SHORTEST_SECRET_LENGTH: Final = 47

_LETTERS = "1-9A-HJ-NP-Za-km-z"
_WIF_VERSIONS = frozenset({0x80, 0xEF})
# By its first letter: of the main network, 32 bytes alone or with the mark of a compressed public
# key.
_WIF = re.compile(r"5[0-9A-Za-z]{50}|[KL][0-9A-Za-z]{51}")
_WIF_LENGTHS = frozenset({51, 52})
_NOT_BASE58 = re.compile("[0OIl]")
# 64 bytes; shorter by what zeros at the start leave out.
_BASE58_KEY = re.compile(rf"[{_LETTERS}]{{64,90}}")
_EXTENDED_PRIVATE = re.compile(r"[A-Za-z]prv[0-9A-Za-z]{100,108}")
_HEX_KEY = re.compile(r"(?<![0-9a-f])(?:[0-9a-f]{64}|[0-9a-f]{128})(?![0-9a-f])", re.IGNORECASE)
# 64 bytes: the last letter of 86 holds two bits.
_BASE64_KEY = re.compile(r"(?<![0-9A-Za-z+/_-])[0-9A-Za-z+/_-]{85}[AQgw](==)?(?![0-9A-Za-z+/=_-])")
_PEM = re.compile(r"--\s?(?:BEGIN|END) (?:[A-Z0-9]{1,20} ){0,4}PRIVATE KEY", re.IGNORECASE)
_PEM_BLOCK = re.compile(
    r"(?<!-)-{2,}\s?BEGIN (?:[A-Z0-9]{1,20} ){0,4}PRIVATE KEY.*?(?:--\s?END [A-Z0-9 ]{1,90}-*|\Z)",
    re.IGNORECASE | re.DOTALL,
)
_INVISIBLE = re.compile("[\u200b-\u200f\u2060\ufeff\u00ad]")
# White space as programs write it within quotes.
_WRITTEN_SPACE = re.compile(r"\\[nrt]")
# The place of a transaction in an explorer: its hash, or its signature, is public.
_TRANSACTION_LINK = re.compile(
    rf"/(?:tx|txs|transactions?)/(?:(?:0x)?[0-9A-Fa-f]{{64}}|[{_LETTERS}]{{86,88}})(?![0-9A-Za-z])"
)
_LABEL = re.compile(r"^[^:=]{0,40}[:=]")
# Pieces as long as this are lines, not words.
_LINE_LENGTH: Final = 16
_LONGEST_BROKEN = 300


def refuse_secret(text: str, field: str) -> None:
    """Raises PRIVATE_KEY_REFUSED when the text is, or holds, something shaped like a secret. The
    error names the field, never the value.
    """
    if looks_secret(text):
        raise InvalidArgument(
            REASON,
            f"{field} looks like a private key or a seed phrase; it was not stored. Take it out.",
            fields={field: "looks like a private key or a seed phrase"},
        )


def without_secrets(text: str) -> str:
    """The text with a sentence in place of each line that holds a secret, or of it all when only
    the whole does: what must be told is told all the same.
    """
    if not looks_secret(text):
        return text
    # Its lines give it away only together, and any of them would be a part of it.
    text = _PEM_BLOCK.sub(REMOVED, text)
    kept = "\n".join(REMOVED if looks_secret(line) else line for line in text.split("\n"))
    return REMOVED if looks_secret(kept) else kept


def looks_secret(text: str) -> bool:
    """Whether the text is or holds one of these:

    - a private key in WIF, also mistyped when it has its length and first letter; an extended
      private key;
    - 64 bytes as base58, base64, hex or a list of numbers, 32 bytes as hex or a list of numbers;
      hex also in groups, lists also without brackets;
    - a PEM block of a private key;
    - a seed phrase, see `seed_phrases.is_phrase`.

    The hash or signature in a link to a transaction is public; by itself it has the shape of a key.
    Base58 and base64 broken into lines or groups are found when the text is nothing else.
    """
    if len(text) < SHORTEST_SECRET_LENGTH:
        return False
    plain = _plain(text)
    return is_phrase(plain) or _holds_key(plain)


def _plain(text: str) -> str:
    if not text.isascii():
        text = _INVISIBLE.sub("", unicodedata.normalize("NFKC", text))
    if "\\" in text:
        text = _WRITTEN_SPACE.sub(" ", text)
    return _TRANSACTION_LINK.sub(" ", text) if "/t" in text else text


def _kinds(letters: str) -> bytes:
    """A table that makes each of these letters an x and all else a space."""
    return bytes(ord("x" if chr(byte) in letters else " ") for byte in range(256))


_ALPHANUMERIC = _kinds(ascii_letters + digits)
_BASE64 = _kinds(ascii_letters + digits + "+/-_")
_SPELLED = _kinds(hexdigits + "xX \t\r\n,;:.-_|/\\\"'[](){}")


def _holds_key(text: str) -> bool:
    raw = text.encode(errors="replace")
    if b"x" * 51 in raw.translate(_ALPHANUMERIC) and any(map(_is_key, _runs(text))):
        return True
    if b"x" * 63 in raw.translate(_SPELLED) and spells_key(text):
        return True
    if b"x" * 86 in raw.translate(_BASE64) and _holds_base64_key(text):
        return True
    return _is_broken_key(text) or ("-" in text and _PEM.search(text) is not None)


def _runs(text: str) -> Iterator[str]:
    return (found.group() for found in re.finditer(r"(?<![0-9A-Za-z])[0-9A-Za-z]{51,}", text))


def _is_key(run: str) -> bool:
    return _HEX_KEY.search(run) is not None or _is_base58_key(run)


def _is_base58_key(run: str) -> bool:
    if _EXTENDED_PRIVATE.fullmatch(run):
        return True
    if len(run) in _WIF_LENGTHS and _is_wif(run):
        return True
    if run.isalpha() or run.islower() or run.isupper():
        return (
            False  # Words run together; so many random base58 letters hold figures and both cases.
        )
    if _WIF.fullmatch(run):
        return len(_NOT_BASE58.findall(run)) <= 1
    raw = base58.decode(run) if _BASE58_KEY.fullmatch(run) else None
    return raw is not None and len(raw) == 64


def _is_wif(run: str) -> bool:
    payload = base58.check_decode(run)
    return payload is not None and len(payload) in (33, 34) and payload[0] in _WIF_VERSIONS


def _holds_base64_key(text: str) -> bool:
    return any(
        _is_random(found.group())
        # Without its end it may be the path of a page.
        and (found.group(1) or "://" not in text[: found.start()].rpartition(" ")[2])
        for found in _BASE64_KEY.finditer(text)
    )


def _is_random(letters: str) -> bool:
    """Whether capitals, small letters and figures are about as many as chance makes them in 64
    bytes.
    """
    capitals, small = sum(map(str.isupper, letters)), sum(map(str.islower, letters))
    figures = sum(map(str.isdigit, letters))
    return min(capitals, small) >= 16 and figures > 0


def _is_broken_key(text: str) -> bool:
    """A key that is the whole text, in lines or in groups of one length."""
    if len(text) > _LONGEST_BROKEN:
        return False
    return any(
        _is_joined_key(form.split())
        for form in dict.fromkeys((text, _LABEL.sub("", text, count=1)))
    )


def _is_joined_key(pieces: list[str]) -> bool:
    if len(pieces) < 2 or not _is_cut_up(list(map(len, pieces))):
        return False
    # Public addresses side by side are as long as a key; ids have one case, a line of a key has
    # both.
    if all(len(base58.decode(piece) or b"") == 32 for piece in pieces) or any(
        len(piece) >= _LINE_LENGTH and (piece.islower() or piece.isupper()) for piece in pieces
    ):
        return False
    joined = "".join(pieces)
    if joined.endswith("=="):
        return _holds_base64_key(joined)
    return len(joined) >= 51 and joined.isascii() and joined.isalnum() and _is_base58_key(joined)


def _is_cut_up(lengths: list[int]) -> bool:
    """Whether these are lines, or groups of one length and a rest."""
    *whole, rest = lengths
    return min(whole) >= _LINE_LENGTH or (len(set(whole)) == 1 and rest <= whole[0])
