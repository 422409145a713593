"""Public addresses are checked and written one way; secrets are refused and never repeated."""

import hashlib
import json

import base58
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.positions.domain.venue_answer import Chain
from services.positions.wallets.domain.addresses import check_address, refuse_secret
from services.positions.wallets.domain.encodings import bech32_decode, keccak_256
from shared.base58 import decode
from shared.errors import InvalidArgument
from shared.secret_shapes import looks_secret

SOLANA = "HskfdWhZTfsEL2he8iqJmXmbHdj5vr5xBooRnUfQs5PY"
DYDX = "dydx1m9euquwentjaqxm96a4scnwy5h9t95l3rspgqc"
# The examples of EIP-55 itself.
CHECKSUMMED = [
    "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
    "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
    "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
    "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
]
PHRASE = (
    "able bacon cable dance eager fable gadget habit icon jacket kitten label magnet narrow oak"
)
WORDS = PHRASE.split()
SECRET_BYTES = hashlib.sha512(b"not a key of anybody").digest()


def test_an_address_in_its_written_form_stays_as_it_is() -> None:
    assert check_address(Chain.SOLANA, SOLANA) == SOLANA
    assert check_address(Chain.DYDX, DYDX) == DYDX
    for address in CHECKSUMMED:
        assert check_address(Chain.ETHEREUM, address) == address


@pytest.mark.parametrize("address", CHECKSUMMED)
def test_unchecked_hex_is_given_its_checksum(address: str) -> None:
    assert check_address(Chain.ETHEREUM, address.lower()) == address
    assert check_address(Chain.ETHEREUM, "0x" + address[2:].upper()) == address
    assert check_address(Chain.ETHEREUM, f"  {address}\n") == address


def test_one_mistyped_case_breaks_the_checksum() -> None:
    for place, letter in enumerate(CHECKSUMMED[0]):
        if place > 1 and letter.isalpha():
            wrong = CHECKSUMMED[0][:place] + letter.swapcase() + CHECKSUMMED[0][place + 1 :]
            with pytest.raises(InvalidArgument, match="EIP-55"):
                check_address(Chain.ETHEREUM, wrong)


def test_bech32_is_written_in_lower_case() -> None:
    assert check_address(Chain.DYDX, DYDX.upper()) == DYDX


BAD = [
    (Chain.SOLANA, ""),
    (Chain.SOLANA, "   "),
    (Chain.SOLANA, SOLANA[:-3]),
    (Chain.SOLANA, SOLANA + "11"),
    (Chain.SOLANA, SOLANA.replace("H", "0", 1)),
    (Chain.SOLANA, CHECKSUMMED[0]),
    (Chain.SOLANA, DYDX),
    (Chain.SOLANA, "é" * 44),
    (Chain.DYDX, DYDX[:-1] + ("d" if DYDX[-1] == "c" else "c")),
    (Chain.DYDX, DYDX[:5] + DYDX[5:].upper()),
    (Chain.DYDX, "cosmos1" + DYDX[5:]),
    (Chain.DYDX, "a12uel5l"),
    (Chain.DYDX, SOLANA),
    (Chain.ETHEREUM, CHECKSUMMED[0][:-1]),
    (Chain.ETHEREUM, CHECKSUMMED[0][2:]),
    (Chain.ETHEREUM, CHECKSUMMED[0] + "0"),
    (Chain.ETHEREUM, "0x" + "g" * 40),
    (Chain.ETHEREUM, "0x" + "١" * 40),
    (Chain.MANUAL, SOLANA),
    (Chain.DEMO, SOLANA),
]


@pytest.mark.parametrize(("chain", "text"), BAD)
def test_a_wrong_address_is_refused_without_repeating_it(chain: Chain, text: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        check_address(chain, text)
    assert caught.value.reason == "BAD_ADDRESS"
    assert set(caught.value.fields) == {"public_address"}
    assert not text.strip() or text not in repr(vars(caught.value)) + str(caught.value)


@pytest.mark.parametrize(
    ("chain", "text", "words"),
    [
        (Chain.SOLANA, CHECKSUMMED[0], "chain ETHEREUM"),
        (Chain.SOLANA, "dydx1m9euquwentjaqxm96a4scnwy5h9t95l3rspgqc", "chain DYDX"),
        (Chain.DYDX, CHECKSUMMED[0], "chain ETHEREUM"),
        (Chain.ETHEREUM, "dydx1m9euquwentjaqxm96a4scnwy5h9t95l3rspgqc", "chain DYDX"),
    ],
)
def test_an_address_of_another_chain_is_refused_with_that_chains_name(
    chain: Chain, text: str, words: str
) -> None:
    with pytest.raises(InvalidArgument, match=words):
        check_address(chain, text)


def test_wallets_without_a_chain_have_no_address() -> None:
    assert check_address(Chain.MANUAL, "") == check_address(Chain.DEMO, " ") == ""


def wif(secret: bytes, version: int = 0x80) -> str:
    payload = bytes([version]) + secret + b"\x01"
    return base58.b58encode_check(payload).decode()


SECRETS = {
    "solana keypair, base58": base58.b58encode(SECRET_BYTES).decode(),
    "solana keypair, base58 with a break": base58.b58encode(SECRET_BYTES).decode()[:40]
    + "\n"
    + base58.b58encode(SECRET_BYTES).decode()[40:],
    "solana keypair, file": json.dumps(list(SECRET_BYTES)),
    "solana keypair, compact file": json.dumps(list(SECRET_BYTES), separators=(",", ":")),
    "seed of 32 bytes, file": json.dumps(list(SECRET_BYTES[:32])),
    "evm key": "0x" + SECRET_BYTES[:32].hex(),
    "evm key, upper case": "0X" + SECRET_BYTES[:32].hex().upper(),
    "bare hex": SECRET_BYTES[:32].hex(),
    "hex with spaces": " ".join(SECRET_BYTES[:32].hex()[i : i + 4] for i in range(0, 64, 4)),
    "hex of 64 bytes": SECRET_BYTES.hex(),
    "hex within words": f"my key is {SECRET_BYTES[:32].hex()}, keep it",
    "wif": wif(SECRET_BYTES[:32]),
    "wif of the test network": wif(SECRET_BYTES[:32], 0xEF),
    "wif uncompressed": base58.b58encode_check(b"\x80" + SECRET_BYTES[:32]).decode(),
    "extended key": "xprv" + base58.b58encode(SECRET_BYTES + SECRET_BYTES[:16]).decode()[:107],
    "seed of 12 words": " ".join(WORDS[:12]),
    "seed of 15 words": " ".join(WORDS[:15]),
    "seed of 24 words": " ".join((WORDS * 2)[:24]),
    "seed over lines": "\n".join(WORDS[:12]),
    "seed with tabs and double spaces": " \t ".join(WORDS[:12]) + "  ",
    "seed with no-break spaces": "\u00a0".join(WORDS[:12]),
    "seed with wide spaces": "\u3000".join(WORDS[:12]),
    "seed with invisible joints": " \u200b".join(WORDS[:12]),
    "seed in capitals": " ".join(WORDS[:12]).upper(),
    "seed numbered": " ".join(f"{place}. {word}" for place, word in enumerate(WORDS[:12], 1)),
    "seed with commas": ",".join(WORDS[:12]),
    "seed with a label": "seed: " + " ".join(WORDS[:12]),
}


@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS.keys())
def test_a_secret_is_refused_and_never_repeated(secret: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        refuse_secret(secret, "note")
    assert caught.value.reason == "PRIVATE_KEY_REFUSED"
    shown = repr(vars(caught.value)) + str(caught.value) + repr(caught.value)
    assert secret not in shown and secret.split(maxsplit=1)[0][:12] not in shown
    assert set(caught.value.fields) == {"note"}


@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS.keys())
@pytest.mark.parametrize("chain", Chain)
def test_no_chain_takes_a_secret_for_an_address(chain: Chain, secret: str) -> None:
    with pytest.raises(InvalidArgument, match="PRIVATE_KEY_REFUSED"):
        check_address(chain, secret)


@pytest.mark.parametrize(
    "text",
    [
        "",
        SOLANA,
        DYDX,
        *CHECKSUMMED,
        "a long that I opened on the day the market fell, to be closed at 105,000 or earlier",
        " ".join(WORDS[:11]),
        " ".join(WORDS[:13]),
        "sell half the size when the price falls below the entry again today",
        "hedge of the BTC short; see https://example.org/notes/2026/11/20?id=12345678901234567890",
        json.dumps(list(range(40))),
        json.dumps([999] * 64),
    ],
)
def test_addresses_and_plain_notes_are_no_secrets(text: str) -> None:
    refuse_secret(text, "note")


@given(st.binary(min_size=64, max_size=64))
def test_any_keypair_in_base58_is_a_secret(secret: bytes) -> None:
    text = base58.b58encode(secret).decode()
    # Keys of (nearly) nothing but zeros are no keys.
    assert looks_secret(text) or len(set(secret)) < 8


@given(st.binary(min_size=32, max_size=32))
def test_any_public_key_is_an_address_and_no_secret(key: bytes) -> None:
    text = base58.b58encode(key).decode()
    assert check_address(Chain.SOLANA, text) == text


@given(st.binary(max_size=80))
def test_base58_reads_what_the_library_writes(raw: bytes) -> None:
    assert decode(base58.b58encode(raw).decode()) == (raw or None)


@given(st.text(max_size=200), st.sampled_from(Chain))
def test_any_text_is_an_address_or_a_typed_refusal(text: str, chain: Chain) -> None:
    reason = ""
    try:
        written = check_address(chain, text)
        assert check_address(chain, written) == written
    except InvalidArgument as refused:
        reason = refused.reason
    assert reason in {"", "BAD_ADDRESS", "PRIVATE_KEY_REFUSED"}


@pytest.mark.parametrize(
    ("message", "digest"),
    [
        (b"", "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"),
        (b"abc", "4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45"),
        (b"testing", "5f16f4c7f149ac4f9510d9cf8cf384038ad348b3bcdc01915f95de12df9d1b02"),
    ],
)
def test_keccak_gives_its_published_digests(message: bytes, digest: str) -> None:
    assert keccak_256(message).hex() == digest


@pytest.mark.parametrize(
    "text",
    [
        "A12UEL5L",
        "abcdef1qpzry9x8gf2tvdw0s3jn54khce6mua7lmqqqxw",
        "split1checkupstagehandshakeupstreamerranterredcaperred2y9e3w",
    ],
)
def test_bech32_reads_the_examples_of_its_standard(text: str) -> None:
    decoded = bech32_decode(text)
    assert decoded is not None and text.lower().startswith(decoded[0] + "1")


@pytest.mark.parametrize(
    "text",
    ["pzry9x0s0muk", "1pzry9x0s0muk", "x1b4n0q5v", "li1dgmt3", "A1G7SGD8", "10a06t8", "1qzzfhee"],
)
def test_bech32_refuses_the_counterexamples_of_its_standard(text: str) -> None:
    assert bech32_decode(text) is None
