"""Files of wallets: there and back, and each way a row is refused."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from services.positions.domain.venue_answer import Chain, WalletType
from services.positions.files.domain.exports import WALLET_FIELDS, wallet_cells, written
from services.positions.files.service.wallet_files import parse_wallets
from services.positions.wallets.domain.wallet import Wallet
from shared.errors import InvalidArgument

NOW = datetime(2026, 11, 20, tzinfo=UTC)
PAPER = Wallet(
    "paper", Chain.MANUAL, "", "p.png", 1.5, None, ("a", "b c"), False, WalletType.BOT, NOW
)
PLAIN = Wallet("plain, wallet", Chain.DEMO, "", "", None, 7.0, (), True, WalletType.TEST, NOW)


@pytest.mark.parametrize("kind", ["CSV", "JSON"])
def test_what_is_written_is_read_as_it_was(kind) -> None:
    content = written([wallet_cells(PAPER), wallet_cells(PLAIN)], WALLET_FIELDS, kind, "wallets")
    rows, refused = parse_wallets(content, kind)
    assert not refused and [row.name for row in rows] == ["paper", "plain, wallet"]
    assert [row.chain for row in rows] == [Chain.MANUAL, Chain.DEMO]
    assert rows[0].values["tags"] == ("a", "b c") and rows[0].values["active"] is False
    assert rows[0].values["type"] is WalletType.BOT and rows[0].values["balance_native"] == 1.5
    assert "balance_usd" not in rows[0].values and rows[1].values["balance_usd"] == 7.0


@pytest.mark.parametrize(
    ("row", "field", "reason"),
    [
        ({"chain": "MANUAL"}, "name", "MISSING_FIELD"),
        ({"name": "a", "chain": "MOON"}, "chain", "UNKNOWN_NAME"),
        ({"name": "a"}, "chain", "UNKNOWN_NAME"),
        ({"name": "a", "chain": "manual", "type": "KING"}, "type", "UNKNOWN_NAME"),
        ({"name": "a", "chain": "manual", "active": "maybe"}, "active", "NOT_A_BOOLEAN"),
        ({"name": "a", "chain": "manual", "balance_usd": "much"}, "balance_usd", "NOT_A_NUMBER"),
        ({"name": "a", "chain": "manual", "balance_usd": "nan"}, "balance_usd", "NOT_FINITE"),
        ({"name": None, "chain": "manual"}, "name", "INVALID_FIELD"),
        ({"name": "a", "chain": "manual", "image_path": ["p"]}, "image_path", "INVALID_FIELD"),
        ({"name": "a\ud800", "chain": "manual"}, "name", "INVALID_FIELD"),
        (
            {"name": "a", "chain": "manual", "seed": "abandon " * 11 + "about"},
            "other",
            "PRIVATE_KEY_REFUSED",
        ),
        ({"name": "0x" + "ab" * 32, "chain": "manual"}, "name", "PRIVATE_KEY_REFUSED"),
    ],
)
def test_a_bad_row_is_refused_by_line_field_and_reason_and_the_rest_is_taken(
    row, field, reason
) -> None:
    content = json.dumps([row, {"name": "good", "chain": "CHAIN_MANUAL"}]).encode()
    rows, (refusal,) = parse_wallets(content, "JSON")
    assert (refusal.line, refusal.field, refusal.reason) == (1, field, reason)
    assert [one.name for one in rows] == ["good"]
    assert "abandon" not in refusal.message


@pytest.mark.parametrize(
    "cells", ["a,manual," + "0x" + "ab" * 32, "a,manual," + "abandon," * 11 + "about"]
)
def test_a_secret_in_cells_beyond_the_header_is_refused_as_one(cells) -> None:
    _, (refusal,) = parse_wallets(f"name,chain\n{cells}\n".encode(), "CSV")
    assert (refusal.line, refusal.reason) == (2, "PRIVATE_KEY_REFUSED")


def test_the_second_row_of_a_name_is_refused() -> None:
    rows, (refusal,) = parse_wallets(b"name,chain\na,manual\na,demo\n", "CSV")
    assert (refusal.line, refusal.reason) == (3, "DUPLICATE_NAME") and len(rows) == 1


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"\xff\xfe", "CSV"),
        (b"chain\nmanual\n", "CSV"),
        (b"{", "JSON"),
        (b"3", "JSON"),
        (b"", "CSV"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused(content, kind) -> None:
    with pytest.raises(InvalidArgument, match="BAD_FILE"):
        parse_wallets(content, kind)
