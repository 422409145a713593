"""What a private key or a seed phrase looks like, so that none is ever taken, stored or repeated.

Knows shapes only: no word list, no chain. Texts of ordinary length cost one comparison.
"""

import re
import unicodedata

from services.positions.domain.encodings import base58_check_decode, base58_decode
from shared.errors import InvalidArgument

# Shorter than the shortest shape below (twelve words of three letters): no secret.
_SHORTEST_SECRET_LENGTH = 47
_SEED_WORD_COUNTS = frozenset({12, 15, 18, 21, 24})
_WIF_VERSIONS = frozenset({0x80, 0xEF})
_INVISIBLE = re.compile("[\u200b-\u200f\u2060\ufeff\u00ad]")
_HEX_KEY = re.compile(r"(?<![0-9a-z])(?:0x)?(?:[0-9a-f]{128}|[0-9a-f]{64})(?![0-9a-z])", re.IGNORECASE)
_BYTE_LIST = re.compile(r"[\[{(] ?((?:\d{1,3}[,; ]{1,3}){31,63}\d{1,3})[, ]{0,2}[\])}]")
_BASE58_RUN = re.compile(r"[1-9A-HJ-NP-Za-km-z]{51,128}")
_EXTENDED_PRIVATE = re.compile(r"\b[a-zA-Z]prv[1-9A-HJ-NP-Za-km-z]{100,108}\b")
_SEED_WORD = re.compile(r"[a-z]{3,8}")
_LABEL = re.compile(r"^[^:=]{0,40}[:=]")


def refuse_secret(text: str, field: str) -> None:
    """Raises PRIVATE_KEY_REFUSED when the text is, or holds, something shaped like a secret. The error names
    the field, never the value."""
    if looks_secret(text):
        raise InvalidArgument(
            "PRIVATE_KEY_REFUSED",
            f"{field} looks like a private key or a seed phrase; it was not stored. Take it out.",
            fields={field: "looks like a private key or a seed phrase"},
        )


def looks_secret(text: str) -> bool:
    """Keys of 64 bytes (base58, hex, a list of bytes), hex keys of 32 bytes, WIF, extended private keys, and
    12, 15, 18, 21 or 24 words of 3 to 8 letters, whatever the white space between them."""
    if len(text) < _SHORTEST_SECRET_LENGTH:
        return False
    plain = " ".join(_INVISIBLE.sub("", unicodedata.normalize("NFKC", text)).split())
    return any(_key_shaped(form) for form in (plain, plain.replace(" ", ""))) or _phrase_shaped(plain)


def _key_shaped(text: str) -> bool:
    if _HEX_KEY.search(text) or _EXTENDED_PRIVATE.search(text):
        return True
    if any(_is_byte_list(found.group(1)) for found in _BYTE_LIST.finditer(text)):
        return True
    return any(_is_base58_key(run) for run in _BASE58_RUN.findall(text))


def _is_byte_list(text: str) -> bool:
    numbers = [int(number) for number in re.findall(r"\d+", text)]
    return len(numbers) in (32, 64) and max(numbers) <= 255


def _is_base58_key(run: str) -> bool:
    if run.isalpha() or run.islower() or run.isupper():
        return False  # Words run together; 51 random base58 letters hold digits and both cases.
    raw = base58_decode(run)
    if raw is not None and len(raw) == 64:
        return True
    payload = base58_check_decode(run)
    return payload is not None and len(payload) in (33, 34) and payload[0] in _WIF_VERSIONS


def _phrase_shaped(text: str) -> bool:
    return any(_is_seed_phrase(form) for form in (text, _LABEL.sub("", text, count=1)))


def _is_seed_phrase(text: str) -> bool:
    # Numbers, commas and quotes between the words ("1. abandon, 2. ability") hide nothing.
    words = re.sub(r"[\W\d_]+", " ", text).lower().split()
    return len(words) in _SEED_WORD_COUNTS and all(_SEED_WORD.fullmatch(word) for word in words)
