"""What is written out comes back as it was: positions by hand and wallets, in both formats."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from services.positions.domain.position import Inputs, Position
from services.positions.domain.venue_answer import Chain, Side, Status, WalletType
from services.positions.files.domain.exports import (
    POSITION_FIELDS,
    WALLET_FIELDS,
    position_cells,
    wallet_cells,
    written,
)
from services.positions.files.domain.imports import Format, against_what_is_there
from services.positions.files.service.position_files import parse_positions
from services.positions.files.service.wallet_files import parse_wallets
from services.positions.wallets.domain.wallet import Wallet
from shared.secret_shapes import looks_secret

START = datetime(2026, 11, 20, 23, 0, tzinfo=UTC)
KEPT = ("id", "wallet", "asset", "side", "status", "note", "mark_time")
NUMBERS = (
    "entry_price_usd",
    "liquidation_price_usd",
    "mark_price_usd",
    "size_usd",
    "collateral_usd",
)
formats = st.sampled_from(["CSV", "JSON"])
prices = st.floats(min_value=1e-9, max_value=1e12)
names = st.text("abcXYZ09_-. ;,\"'=", min_size=1, max_size=20).map(str.strip).filter(bool)
texts = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=40)
moments = st.datetimes(datetime(1971, 1, 1), datetime(2026, 11, 20), timezones=st.just(UTC))


@st.composite
def inputs(draw: st.DrawFn, **fixed: object) -> Inputs:
    collateral_usd = draw(st.floats(1e-6, 1e9))
    mark_price_usd = draw(st.none() | prices)
    note = draw(texts)
    assume(not looks_secret(note) and (not note or note.strip()))
    found: dict[str, object] = dict.fromkeys(Inputs.__dataclass_fields__)
    found |= {
        "id": draw(names),
        "wallet": draw(names),
        "venue": "manual",
        "asset": draw(st.sampled_from(["BTC", "ETH", "WIF-2", "1INCH"])),
        "side": draw(st.sampled_from([Side.LONG, Side.SHORT])),
        "entry_price_usd": draw(prices),
        "liquidation_price_usd": draw(st.none() | prices),
        "mark_price_usd": mark_price_usd,
        "mark_time": None if mark_price_usd is None else draw(moments),
        "size_usd": collateral_usd * draw(st.floats(0.1, 500)),
        "collateral_usd": collateral_usd,
        "status": draw(
            st.sampled_from([Status.ACTIVE, Status.CLOSED, Status.LIQUIDATED, Status.INACTIVE])
        ),
        "flags": frozenset(),
        "note": note,
    }
    return Inputs(**{**found, **fixed})  # the rest is the server's to say


@given(st.lists(inputs(), max_size=4, unique_by=lambda one: one.id), formats)
def test_positions_by_hand_come_back_with_status_and_time_of_their_mark(
    rows: list[Inputs], kind: Format
) -> None:
    file = written(
        [position_cells(Position(one, None)) for one in rows], POSITION_FIELDS, kind, "positions"
    )
    parsed = parse_positions(file, kind, "elsewhere")
    assert not parsed.refusals
    taken, refused = against_what_is_there(parsed.rows, {}, {}, START)
    assert not refused
    fields = (*KEPT, *NUMBERS)
    assert [[getattr(row, name) for name in fields] for row in taken] == [
        [getattr(row, name) for name in fields] for row in rows
    ]


@given(inputs(), st.sampled_from(["jupiter", "dydx", "hyperliquid", "demo"]), formats)
def test_what_a_file_cannot_bring_back_is_refused(row: Inputs, venue: str, kind: Format) -> None:
    cells = position_cells(Position(row, None)) | {"venue": venue}
    parsed = parse_positions(
        written([cells], POSITION_FIELDS, kind, "positions"), kind, "elsewhere"
    )
    assert not parsed.rows
    assert [one.field for one in parsed.refusals] == ["venue"]


tags = st.lists(
    st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=12), max_size=4
)


@given(names, st.sampled_from(Chain), tags, st.none() | st.floats(0, 1e12), st.booleans(), formats)
def test_wallets_come_back(
    name: str, chain: Chain, labels: list[str], balance: float | None, active: bool, kind: Format
) -> None:
    kept = tuple(label.strip() if kind == "CSV" else label for label in labels)
    assume(all(kept) and not any(map(looks_secret, kept)))
    wallet = Wallet(name, chain, "", "", balance, None, kept, active, WalletType.BOT, START)
    cells = wallet_cells(wallet)
    taken, refused = parse_wallets(written([cells], WALLET_FIELDS, kind, "wallets"), kind)
    assert not refused
    (row,) = taken
    assert (row.name, row.chain) == (name, chain)
    said = {field: getattr(wallet, field) for field in ("tags", "active", "type", "balance_native")}
    absent = {field for field, value in said.items() if value in (None, ())}
    assert {field: row.values[field] for field in said if field not in absent} == {
        field: value for field, value in said.items() if field not in absent
    }


@pytest.mark.parametrize("tags", [["a;b"], ["[x"], [" a"], ["a", "b;c"]])
def test_labels_that_hold_the_separator_come_back_whole(tags: list[str]) -> None:
    wallet = Wallet(
        "main", Chain.MANUAL, "", "", None, None, tuple(tags), True, WalletType.PERSONAL, START
    )
    rows, _ = parse_wallets(written([wallet_cells(wallet)], WALLET_FIELDS, "CSV", "wallets"), "CSV")
    assert rows[0].values["tags"] == tuple(tags)


@pytest.mark.parametrize("cell", [-1, "-0.5", True, "1_000", "1,5", "١", "nan"])
def test_a_balance_that_is_no_amount_is_refused(cell: object) -> None:
    import json

    rows, refused = parse_wallets(
        json.dumps([{"name": "main", "chain": "MANUAL", "balance_usd": cell}]).encode(), "JSON"
    )
    assert not rows
    assert [one.field for one in refused] == ["balance_usd"]


@pytest.mark.parametrize(("field", "cell"), [("name", "a\x1b[2Jb"), ("tags", ["a", "b\nc"])])
def test_a_control_character_in_the_name_or_a_label_of_a_wallet_refuses_its_row(
    field: str, cell: object
) -> None:
    content = json.dumps([{"name": "cold", "chain": "MANUAL", field: cell}]).encode()
    taken, (refused,) = parse_wallets(content, "JSON")
    assert (taken, refused.field, refused.reason) == ([], field, "INVALID_FIELD")
