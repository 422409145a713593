"""Secrets are found however they are written; ordinary words, addresses and hashes in links are
none.
"""

from __future__ import annotations

import base64
import hashlib
import json
import random
import time
import uuid

import base58
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.names import new_id
from shared.paging import next_token
from shared.secret_shapes import REMOVED, looks_secret, without_secrets
from shared.seed_phrases import _COMMON, _seed_words

PHRASE = "legal winner thank year wave sausage worth useful legal winner thank yellow"
WORDS = [word.decode() for word in _seed_words()]
SIGNATURE = (
    "5VERv8NMvzbJMEkV8xnrLkEaWRtSz9CosKDYjCJjBRnbJLgp8uirBgmQpjKhoR4tjF3ZpRzrFmBV6UjKdiSZkQUW"
)


def bytes_of(seed: int, count: int = 32) -> bytes:
    """A key of nobody: chance decides nothing here but which one."""
    return hashlib.sha512(b"not a key of anybody %d" % seed).digest()[:count]


def grouped(text: str, size: int, sign: str = " ") -> str:
    return sign.join(text[at : at + size] for at in range(0, len(text), size))


def wif(secret: bytes, version: int = 0x80, mark: bytes = b"\x01") -> str:
    return base58.b58encode_check(bytes([version]) + secret + mark).decode()


def mistyped(text: str, at: int, letter: str) -> str:
    return text[:at] + (letter if text[at] != letter else "Z") + text[at + 1 :]


KEY = bytes_of(0).hex()
LONG = bytes_of(0, 64)
PEM = "-----BEGIN EC PRIVATE KEY-----\n{}\n-----END EC PRIVATE KEY-----".format(
    grouped(base64.b64encode(LONG * 2).decode(), 64, "\n")
)
STARTS = " ".join(word[:4] for word in PHRASE.split())
EXTENDED = base58.b58encode(LONG + LONG[:16]).decode()[:107]

WRONG = PHRASE.replace("worth", "wurth")

KEYS = {
    "wif, compressed": wif(bytes_of(1)),
    "wif, uncompressed": wif(bytes_of(1), mark=b""),
    "wif, test network": wif(bytes_of(1), 0xEF),
    "wif, mistyped": mistyped(wif(bytes_of(1)), 20, "x"),
    "wif, uncompressed and mistyped": mistyped(wif(bytes_of(1), mark=b""), 30, "y"),
    "wif, with a letter that base58 has not": mistyped(wif(bytes_of(1)), 9, "0"),
    "wif that has no figures": "KxdprwVVxmRACTdVxmXBGAakUitWCGsSyUVMTqAwTFkZJyeKqMxh",
    "wif in a sentence": f"it is {wif(bytes_of(2))}, keep it",
    "wif as a setting": f"KEY={wif(bytes_of(2))}",
    "wif in two lines": grouped(wif(bytes_of(1)), 26, "\n"),
    "wif in groups": "key: " + grouped(wif(bytes_of(1)), 4),
    "pem": PEM,
    "pem on one line": PEM.replace("\n", " "),
    "pem on one line without spaces": PEM.replace("\n", ""),
    "pem with written line ends": PEM.replace("\n", "\\n"),
    "pem of PKCS 8": PEM.replace("EC ", ""),
    "pem of OpenSSH in a note": "ssh: " + PEM.replace("EC", "OPENSSH"),
    "pem of PGP": PEM.replace("EC PRIVATE KEY", "PGP PRIVATE KEY BLOCK"),
    "pem, encrypted, in small letters": PEM.replace("EC", "ENCRYPTED").lower(),
    "64 bytes, base58": base58.b58encode(LONG).decode(),
    "64 bytes, base58 with a zero before": base58.b58encode(b"\0" + LONG[:63]).decode(),
    "64 bytes, base58 in a sentence": f"secret: {base58.b58encode(LONG).decode()}.",
    "64 bytes, base58 in two lines": grouped(base58.b58encode(LONG).decode(), 60, "\n"),
    "64 bytes, base64": base64.b64encode(LONG).decode(),
    "64 bytes, base64 without its end": base64.b64encode(LONG).decode().rstrip("="),
    "64 bytes, base64 for URLs": base64.urlsafe_b64encode(LONG).decode(),
    "64 bytes, base64 as a setting": f"KEY={base64.b64encode(LONG).decode()}",
    "64 bytes, base64 in two lines": grouped(base64.b64encode(LONG).decode(), 76, "\n"),
    "64 bytes, list": json.dumps(list(LONG)),
    "64 bytes, indented list": json.dumps(list(LONG), indent=2),
    "64 bytes, list without brackets": ", ".join(map(str, LONG)),
    "64 bytes, numbers": " ".join(map(str, LONG)),
    "64 bytes, object of an array": json.dumps({str(at): byte for at, byte in enumerate(LONG)}),
    "64 bytes, list within words": f"my key {json.dumps(list(LONG))} is in id.json",
    "64 bytes, hex": LONG.hex(),
    "64 bytes, hex in pairs": LONG.hex(" "),
    "32 bytes, list": json.dumps(list(LONG[:32])),
    "32 bytes, list without brackets": ",".join(map(str, LONG[:32])),
    "32 bytes, list of texts": json.dumps(list(map(str, LONG[:32]))),
    "32 bytes, list of hex": ", ".join(f"0x{byte:02x}" for byte in LONG[:32]),
    "32 bytes, escaped": "".join(f"\\x{byte:02x}" for byte in LONG[:32]),
    "hex": KEY,
    "hex with 0x": f"0x{KEY}",
    "hex with 0X, capitals": f"0X{KEY.upper()}",
    "hex in a sentence": f"key {KEY} of the bot",
    "hex glued to a word": f"key{KEY}",
    "hex in halves": f"0x{KEY[:32]} {KEY[32:]}",
    "hex broken anywhere": f"{KEY[:41]}\n{KEY[41:]}",
    **{
        f"hex in groups of {size}, {sign!r}": grouped(KEY, size, sign)
        for size in (2, 4, 8, 16)
        for sign in " :-_."
    },
    "hex in groups within words": f"add this: {grouped(KEY, 4)} and keep it",
    "hex in groups after hex-like words": f"a bad key: {grouped(KEY, 8, '-')} a dead one",
    **{f"{kind}prv": kind + "prv" + EXTENDED for kind in "xyztuvYZUV"},
    "extended in lines": grouped("xprv" + EXTENDED, 40, "\n"),
    "key where a transaction would be": f"https://example.org/tx/{wif(bytes_of(1))}",
}

PHRASES = {
    **{
        f"{count} words": " ".join((WORDS * 2)[count * 7 : count * 8])
        for count in (12, 15, 18, 21, 24)
    },
    "capitals": PHRASE.upper(),
    "title case": PHRASE.title(),
    "numbered": " ".join(f"{place}. {word}" for place, word in enumerate(PHRASE.split(), 1)),
    "numbered lines": "\n".join(f"{place}) {word}" for place, word in enumerate(PHRASE.split(), 1)),
    "numbered without spaces": " ".join(
        f"{place}{word}" for place, word in enumerate(PHRASE.split(), 1)
    ),
    "commas": ", ".join(PHRASE.split()),
    "dashes": "-".join(PHRASE.split()),
    "bullets": "\n".join(f"\u2022 {word}" for word in PHRASE.split()),
    "curly quotes": "\u201c" + "\u201d\u2014\u201c".join(PHRASE.split()) + "\u201d",
    "lines": "\r\n".join(PHRASE.split()),
    "written line ends": "\\n".join(PHRASE.split()),
    "json": json.dumps(PHRASE.split()),
    "label": f"seed: {PHRASE}",
    "in a sentence": f"If I forget it, the words are {PHRASE}, do not lose them.",
    "in a note of many lines": f"seed:\n{PHRASE}\nsecond line of a note about the market of this "
    "week",
    "twice": " ".join([PHRASE] * 2),
    "one word again and again": "abandon " * 23 + "art",
    "mistyped: letters changed": PHRASE.replace("wave", "waev"),
    "mistyped: no such word": PHRASE.replace("wave", "qqqq"),
    "mistyped with a label": "words: " + PHRASE.replace("wave", "waev"),
    "mistyped: one letter more, numbered": " ".join(
        f"{place}. {word}"
        for place, word in enumerate(PHRASE.replace("sausage", "saussage").split(), 1)
    ),
    "mistyped: one letter less, capitals": PHRASE.replace("useful", "usful").upper(),
    "mistyped, in a sentence": f"If I forget it, they are {WRONG}, do not lose them.",
    "mistyped, in a sentence, after a name": f"This is my seed phrase: {WRONG}. The end.",
    "mistyped, 24 words": " ".join(WORDS[100:124]).replace(WORDS[110], WORDS[110][1:]),
    "starts": STARTS,
    "starts, capitals and commas": ", ".join(STARTS.upper().split()),
    "starts, numbered": " ".join(
        f"{place}. {word}" for place, word in enumerate(STARTS.split(), 1)
    ),
    "starts in a sentence": f"The plate says {STARTS}; it is in the safe.",
    "starts, one mistyped": STARTS.replace("saus", "suas"),
    "starts of 24 words": " ".join(word[:4] for word in WORDS[1000:1024]),
}


@pytest.mark.parametrize("text", [*KEYS.values(), *PHRASES.values()], ids=[*KEYS, *PHRASES])
def test_a_secret_is_found_however_it_is_written(text: str) -> None:
    assert looks_secret(text)
    assert not looks_secret(without_secrets(text))


SOLANA = [base58.b58encode(bytes_of(seed)).decode() for seed in range(4)]
EVM = [f"0x{bytes_of(seed, 20).hex()}" for seed in range(4)]
DYDX = "dydx1m9euquwentjaqxm96a4scnwy5h9t95l3rspgqc"
UUIDS = [str(uuid.UUID(bytes=bytes_of(seed, 16))) for seed in range(4)]
TOKEN = base64.urlsafe_b64encode(bytes_of(3, 51)).decode()

ORDINARY = [
    # Twelve, fifteen and more words, most of them words of the list.
    "sell half the size when the price falls below the entry again",
    "close all longs before the meeting and open them again after that",
    "sell half BTC when price drop below entry, then buy more next week",
    "sell half SOL above entry, then buy ETH when price drop below 86,410",
    "this will only end when they sell the rest, so just wait until then",
    "move stop loss to entry, then hold until price will rise above 98,000",
    "hold until next week, then sell half when price drop again, add to hedge",
    "I will not add to the long until they cut the rate; keep an eye on gold and oil",
    "that day the market will open below, then they must sell more and add to the loss there",
    "HIGH: BTC long in demo-main, liquidation distance 4.9 % at 86,410; add 500 or cut 1,200 USD",
    " ".join(PHRASE.split()[:11]),
    STARTS.rpartition(" ")[0],
    # Public addresses, alone, in lists, side by side.
    *SOLANA,
    *EVM,
    DYDX,
    " ".join(SOLANA[:2]),
    "\n".join(SOLANA),
    ",".join(SOLANA),
    " ".join(EVM),
    ", ".join(EVM),
    "bc1p5d7rjq7g6rdk2yhzks9smlaqtedr4dekq08ge8ztwac72sfr9rusxg3297",
    "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq 1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2",
    f"{EVM[0]} {SOLANA[0]}",
    "req-01m8k6kdn7x851ew32x6djvk45 req-01m8k6kdn7x851ew32x6djvk46 220Q9QQCXD7KEXPWCYHFRZ8BAQ",
    "1NW7DV2Ncx9b1JfB8FT5rmZPAqJw2Y9STP H257H75XST6C4QW9RGQB4FNFWG CPGJGPFMN7J5X6JJV9C2JRR75C",
    f"from {SOLANA[0]} to {SOLANA[1]} by {EVM[0]}",
    "xpub" + EXTENDED,
    # Identifiers.
    *UUIDS,
    " ".join(UUIDS),
    ",".join(UUIDS),
    "01JDXW8Z7Q2M5N6P7R8S9T0V1W 01JDXW8Z7Q2M5N6P7R8S9T0V1X 01JDXW8Z7Q2M5N6P7R8S9T0V1Y",
    " ".join(new_id("alerts") for _ in range(6)),
    "alerts-" + KEY[:32],
    f"alerts-{KEY[:32]}, alerts-{KEY[32:]}",
    f"{KEY[:32]}, {KEY[32:]}",
    KEY[:63],
    KEY + "00",
    "04" + KEY + KEY,
    f"0x{KEY[:16]}, 0x{KEY[16:32]}, 0x{KEY[32:48]}, 0x{KEY[48:]}",
    f"00-{KEY[:32]}-{KEY[:16]}-01",
    " ".join([*(bytes_of(seed, 20).hex() for seed in range(3)), UUIDS[0]]),
    "7TECXSD4VTR75NGKAYA4B617BC " + " ".join(bytes_of(seed, 20).hex() for seed in range(3)),
    next_token("0123456789abcdef", ("2026-11-20T23:00:00Z", "position-01m7y5ka1cvk28ftj7qp78w864")),
    # Links: to a transaction, of a webhook.
    f"closed by https://etherscan.io/tx/0x{KEY}",
    f"see https://solscan.io/tx/{SIGNATURE} for the fill",
    f"https://app.example.org/explorer/transactions/{KEY}?network=main",
    f"https://discord.com/api/webhooks/1145141919810893931/{TOKEN}",
    f"https://hooks.slack.com/services/T024BE7LD/B024BE7LE/{TOKEN[:24]}",
    f"https://example.org/2026/11/20/positions/{'AbC1' * 10}/more/of/this?id=12345678901234567890",
    f"https://api.telegram.org/bot123456789:{TOKEN[:35]}/sendMessage",
    # Numbers.
    json.dumps(list(range(40))),
    json.dumps([999] * 64),
    " ".join(map(str, range(1, 33))),
    ", ".join(map(str, range(1, 65))),
    " ".join(str(86_000 + 37 * step) for step in range(64)),
    " ".join(f"{142 + step / 7:.2f}" for step in range(32)),
    "2026-11-20 23:00:00 2026-11-21 23:00:00 2026-11-22 23:00:00 2026-11-23 23:00:00",
    "192.168.100.200 10.0.0.1 172.16.254.1 203.0.113.77 198.51.100.23 192.0.2.146 127.0.0.1",
    "2001:0db8:85a3:0000:0000:8a2e:0370:7334 fe80::1ff:fe23:4567:890a",
    "aa:bb:cc:dd:ee:ff 00:1b:44:11:3a:b7 00:1b:44:11:3a:b8 00:1b:44:11:3a:b9",
    "-" * 200,
    "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\n-----END PUBLIC KEY-----",
    "We never ask for a private key; nobody here will, and who does is a thief.",
]


@pytest.mark.parametrize("text", ORDINARY)
def test_ordinary_words_addresses_links_and_ids_are_none(text: str) -> None:
    assert not looks_secret(text)


seeds = st.integers(0, 10**9)
signs = st.sampled_from([" ", ", ", "\n", ";", " - ", ": ", " and "])


@given(seeds)
def test_any_wif_is_a_secret_with_one_letter_wrong_too(seed: int) -> None:
    chance = random.Random(seed)
    key = wif(chance.randbytes(32), mark=chance.choice([b"", b"\x01"]))
    assert looks_secret(key)
    assert looks_secret(
        "note: " + mistyped(key, chance.randrange(1, len(key)), chance.choice("279"))
    )


@given(seeds, st.sampled_from([32, 64]))
def test_any_bytes_are_a_secret_as_hex_and_as_numbers(seed: int, count: int) -> None:
    secret = bytes_of(seed, count)
    assert (
        looks_secret(secret.hex())
        and looks_secret(secret.hex(":"))
        and looks_secret(secret.hex(" ", 4))
    )
    assert looks_secret(json.dumps(list(secret))) and looks_secret(", ".join(map(str, secret)))


@given(seeds)
def test_any_keypair_is_a_secret_as_base58_and_base64(seed: int) -> None:
    secret = bytes_of(seed, 64)
    assert looks_secret(base58.b58encode(secret).decode()) and looks_secret(
        base64.b64encode(secret).decode()
    )


@given(
    seeds, st.sampled_from([12, 15, 18, 21, 24]), st.sampled_from([" ", ",", "\n", " / ", " 7. "])
)
def test_any_phrase_is_a_secret_with_a_letter_wrong_and_by_its_starts_too(
    seed: int, count: int, sign: str
) -> None:
    chance = random.Random(seed)
    words = [chance.choice(WORDS) for _ in range(count)]
    assert looks_secret(sign.join(words)) and looks_secret(sign.join(words).upper())
    assert looks_secret(sign.join(word[:4] for word in words))
    wrong = chance.randrange(count)
    at = chance.randrange(len(words[wrong]))
    words[wrong] = words[wrong][:at] + "q" + words[wrong][at + 1 :]
    assert looks_secret(sign.join(words)) and looks_secret("words: " + sign.join(words))


def _address(chance: random.Random) -> str:
    return chance.choice(
        [
            base58.b58encode(chance.randbytes(32)).decode(),
            f"0x{chance.randbytes(20).hex()}",
            "dydx1" + "".join(chance.choices("023456789acdefghjklmnpqrstuvwxyz", k=38)),
            base58.b58encode_check(b"\0" + chance.randbytes(20)).decode(),
            "bc1q" + "".join(chance.choices("023456789acdefghjklmnpqrstuvwxyz", k=38)),
            str(uuid.UUID(bytes=chance.randbytes(16))),
            "".join(chance.choices("0123456789ABCDEFGHJKMNPQRSTVWXYZ", k=26)),
            new_id("req"),
            base64.urlsafe_b64encode(chance.randbytes(24)).decode(),
            hashlib.sha1(chance.randbytes(8)).hexdigest(),
            f"{chance.uniform(1, 1e5):,.2f}",
        ]
    )


@given(seeds, st.integers(1, 8), signs)
def test_lists_of_addresses_and_ids_are_no_secret(seed: int, count: int, sign: str) -> None:
    chance = random.Random(seed)
    assert not looks_secret(sign.join(_address(chance) for _ in range(count)))


@given(seeds, st.integers(1, 60))
def test_sentences_of_words_of_the_list_are_no_secret(seed: int, count: int) -> None:
    chance = random.Random(seed)
    common = sorted(word.decode() for word in _COMMON)
    sentence: list[str] = []
    for _ in range(count):
        # As in English: never many nouns and verbs without a small word between.
        sentence += [chance.choice(WORDS) for _ in range(chance.randrange(7))] + [
            chance.choice(common)
        ]
    marks = [chance.choice(["", "", "", ",", ".", ";", ":"]) for _ in sentence]
    assert not looks_secret(" ".join(map(str.__add__, sentence, marks)))


@given(st.lists(st.sampled_from(["the", "a", "to", "BTC", "86,410", *PHRASE.split()]), max_size=40))
def test_what_is_told_never_holds_a_secret(words: list[str]) -> None:
    assert not looks_secret(without_secrets(" ".join(words)))


def test_only_the_line_that_holds_a_secret_is_taken_out() -> None:
    told = without_secrets(f"HIGH: BTC long\nnote: {PHRASE}\nliquidation 86,410")
    assert told == f"HIGH: BTC long\n{REMOVED}\nliquidation 86,410"
    assert without_secrets(PHRASE.replace(" ", "\n")) == REMOVED


def test_a_pem_block_is_taken_out_with_all_its_lines() -> None:
    assert without_secrets(f"HIGH: BTC long\n{PEM}\nliquidation 86,410") == (
        f"HIGH: BTC long\n{REMOVED}\nliquidation 86,410"
    )
    assert without_secrets(f"note {PEM.rpartition('-----END')[0]}") == f"note {REMOVED}"


# Near to a shape and never one, again and again: whatever reads these twice from each place is
# slow.
UNITS = [
    *(
        "a",
        "a ",
        "ab ",
        "ab:",
        "1,",
        "200, ",
        "[1,",
        "5 ",
        "5aA ",
        "5Kz",
        "Ab1/",
        "Ab1=",
        "-",
        "-----BEGIN ",
    ),
    *(
        "-----BEGIN PRIVATE ",
        "-----BEGIN A PRIVATE KE",
        "/tx/0x",
        "/tx/",
        "[",
        ":",
        " ",
        "0x",
        "/",
        "xprv",
        "K",
    ),
    *(
        "\\n",
        '"0":1,',
        "\u3000ab",
        "e\u0301",
        "zoo qqqq ",
        "the ",
        "\u200b",
        "\\x",
        "\\x1",
        "{",
        '"',
        "1.",
        "=",
    ),
    *(
        "A1" * 25 + " ",
        "5K2" * 17 + "K ",
        "A1b" * 29 + "= ",
        "5Kz" * 29 + " ",
        "ab " * 15 + "zz ",
        "a1 " * 31 + "z ",
    ),
    *(
        "abandon " * 11 + "the ",
        "abandon " * 10 + "abandnn the ",
        "abandon " * 6 + "abandn ",
        "aban " * 11 + "xx ",
    ),
    *(
        "[" + "1," * 62,
        "1 " * 31 + "x ",
        UUIDS[0] + " ",
        SOLANA[0] + "\n",
        "0x" + "0" * 16 + " ",
        "a" * 63 + " ",
    ),
]


@pytest.mark.parametrize("unit", UNITS)
def test_the_time_grows_with_the_text_and_no_faster(unit: str) -> None:
    def seconds(length: int) -> float:
        text = (unit * (length // len(unit) + 1))[: length - 1] + "z"
        started = time.process_time()
        looks_secret(text)
        return time.process_time() - started

    # A microsecond and more a letter on a slow machine; what is quadratic takes minutes.
    assert min(seconds(60 * 1024) for _ in range(2)) < 0.5
