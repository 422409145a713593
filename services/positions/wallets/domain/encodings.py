"""How addresses are written: bech32 (BIP 173), and Keccak for Ethereum's checksum (EIP-55)."""

import bech32
from Crypto.Hash import keccak


def bech32_decode(text: str) -> tuple[str, bytes] | None:
    """Prefix and payload of a bech32 text, or None when it is not one."""
    prefix, digits = bech32.bech32_decode(text)
    payload = None if prefix is None or digits is None else bech32.convertbits(digits, 5, 8, False)
    return None if prefix is None or payload is None else (prefix, bytes(payload))


def keccak_256(message: bytes) -> bytes:
    """Keccak-256 as Ethereum uses it; SHA3-256 of the standard library pads otherwise."""
    return keccak.new(digest_bits=256, data=message).digest()
