"""Bytes as base58, the way keys and public addresses are written."""

import base58

# Longest text looked at: an extended private key has 111 letters; decoding is quadratic.
_LENGTH_LIMIT = 128


def decode(text: str) -> bytes | None:
    """The bytes, or None when the text is not base58."""
    return _decoded(text, check=False)


def check_decode(text: str) -> bytes | None:
    """The payload of base58 with a double SHA-256 checksum, or None when it does not hold."""
    return _decoded(text, check=True)


def _decoded(text: str, *, check: bool) -> bytes | None:
    # The library forgives spaces at the end.
    if not 0 < len(text) <= _LENGTH_LIMIT or text[-1].isspace():
        return None
    try:
        return base58.b58decode_check(text) if check else base58.b58decode(text)
    except ValueError:
        return None
