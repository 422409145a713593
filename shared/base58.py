"""Bytes as base58, the way keys and public addresses are written."""

import hashlib

_LETTERS = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_DIGIT = {letter: digit for digit, letter in enumerate(_LETTERS)}

# Longest text looked at: an extended private key has 111 letters; decoding is quadratic.
_LENGTH_LIMIT = 128


def decode(text: str) -> bytes | None:
    """The bytes, or None when the text is not base58."""
    if not text or len(text) > _LENGTH_LIMIT:
        return None
    number = 0
    for letter in text:
        digit = _DIGIT.get(letter)
        if digit is None:
            return None
        number = number * 58 + digit
    leading_zeros = len(text) - len(text.lstrip("1"))
    return b"\0" * leading_zeros + number.to_bytes((number.bit_length() + 7) // 8, "big")


def check_decode(text: str) -> bytes | None:
    """The payload of base58 with a double SHA-256 checksum, or None when it does not hold."""
    raw = decode(text)
    if raw is None or len(raw) < 5:
        return None
    payload, checksum = raw[:-4], raw[-4:]
    digest = hashlib.sha256(hashlib.sha256(payload).digest()).digest()
    return payload if digest[:4] == checksum else None
