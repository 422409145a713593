"""Cardano addresses: which key spends what lies there (CIP-19)."""

from __future__ import annotations

import bech32

_KEY_BYTES = 28
# Header nibbles of addresses that pay to a credential; the others are of stake, or of Byron.
_PAYMENT_TYPES = range(8)


def payment_key_hash(address: str) -> str | None:
    """The hash of the payment key, 56 hexadecimal digits; None for a stake address and for what is
    no bech32 address.
    """
    text = address.strip().lower()
    prefix, separator, digits = text.rpartition("1")
    if not separator or prefix not in {"addr", "addr_test"}:
        return None
    values = [bech32.CHARSET.find(digit) for digit in digits]
    # bech32_decode holds texts to 90 characters, and these have 103.
    if -1 in values or not bech32.bech32_verify_checksum(prefix, values):
        return None
    payload = bech32.convertbits(values[:-6], 5, 8, False)
    if payload is None or len(payload) <= _KEY_BYTES or payload[0] >> 4 not in _PAYMENT_TYPES:
        return None
    return bytes(payload[1 : _KEY_BYTES + 1]).hex()
