"""Public addresses: checked against their chain, written one way."""

import re

from services.positions.domain.venue_answer import Chain
from services.positions.wallets.domain.encodings import bech32_decode, keccak_256
from shared import base58
from shared.errors import InvalidArgument
from shared.secret_shapes import refuse_secret

__all__ = ["check_address", "refuse_secret", "said"]

FIELD = "public_address"
_EVM = re.compile(r"0[xX]([0-9a-fA-F]{40})")
_DYDX_PREFIX = "dydx"
_DYDX_LENGTHS = frozenset({20, 32})
# Characters: base58 of 32 bytes that are nearly all zero.
_SHORTEST_ADDRESS = 32


def check_address(chain: Chain, text: str) -> str:
    """The address in its one written form: base58 of 32 bytes (Solana), lower-case bech32 with
    prefix dydx, 0x with EIP-55 checksum (all lower or all upper hex is taken as unchecked). Empty
    for MANUAL and DEMO.

    Raises InvalidArgument BAD_ADDRESS, or PRIVATE_KEY_REFUSED; neither repeats the value.
    """
    address = text.strip()
    refuse_secret(address, FIELD)
    if chain in (Chain.MANUAL, Chain.DEMO):
        if address:
            raise _bad("must be left empty for a wallet without a chain")
        return ""
    if not address:
        raise _bad("is empty; a wallet of this chain needs its public address")
    other = _chain_of(address)
    if other not in (None, chain):
        raise _bad(f"is one of the chain {other.name}: say that chain with it")
    if chain is Chain.SOLANA:
        return _solana(address)
    return _dydx(address) if chain is Chain.DYDX else _ethereum(address)


def _chain_of(address: str) -> Chain | None:
    """The chain whose addresses alone look like this, if one does."""
    if _EVM.fullmatch(address):
        return Chain.ETHEREUM
    return Chain.DYDX if address.lower().startswith(f"{_DYDX_PREFIX}1") else None


def said(name: str) -> str:
    """A wallet's name as an error repeats it: cut short, as one may be an address."""
    return repr(name if len(name) < _SHORTEST_ADDRESS else f"{name[:4]}...{name[-4:]}")


def _solana(address: str) -> str:
    raw = base58.decode(address)
    if raw is None:
        raise _bad("is not base58; a Solana address uses letters and digits without 0, O, I and l")
    if len(raw) != 32:
        raise _bad(f"holds {len(raw)} bytes; a Solana address holds 32")
    return address


def _dydx(address: str) -> str:
    decoded = bech32_decode(address)
    if decoded is None:
        raise _bad("is not bech32 or its checksum is wrong; a dYdX address starts with dydx1")
    prefix, payload = decoded
    if prefix != _DYDX_PREFIX:
        raise _bad("has another prefix; a dYdX address starts with dydx1")
    if len(payload) not in _DYDX_LENGTHS:
        raise _bad(f"holds {len(payload)} bytes; a dYdX address holds 20")
    return address.lower()


def _ethereum(address: str) -> str:
    matched = _EVM.fullmatch(address)
    if matched is None:
        raise _bad("is not 0x and 40 hex digits")
    digits = matched.group(1)
    checksummed = _with_checksum(digits)
    if digits not in (checksummed, digits.lower(), digits.upper()):
        raise _bad("has a wrong checksum (EIP-55): a letter was mistyped")
    return "0x" + checksummed


def _with_checksum(digits: str) -> str:
    lower = digits.lower()
    hashed = keccak_256(lower.encode()).hex()
    return "".join(
        letter.upper() if int(nibble, 16) >= 8 else letter
        for letter, nibble in zip(lower, hashed, strict=False)
    )


def _bad(problem: str) -> InvalidArgument:
    return InvalidArgument("BAD_ADDRESS", f"The address {problem}.", fields={FIELD: problem})
