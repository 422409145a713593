"""Files of positions: what is taken, what is refused and why."""

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.positions.domain.venue_answer import Side
from services.positions.files.domain.imports import ManualTerms, Parsed
from services.positions.files.service.position_files import parse_positions
from shared.errors import InvalidArgument

FIXTURES = Path(__file__).parents[2] / "fixtures" / "cases"
HEADER = (
    "id,wallet,asset,side,entry_price_usd,liquidation_price_usd,mark_price_usd,"
    "size_usd,collateral_usd,note"
)
GOOD = {
    "asset": "BTC",
    "side": "LONG",
    "entry_price_usd": 100,
    "size_usd": 1000,
    "collateral_usd": 100,
}


def csv_of(*rows: str, header: str = HEADER) -> Parsed:
    return parse_positions("\n".join([header, *rows]).encode(), "CSV", "manual")


def json_of(*rows: object) -> Parsed:
    return parse_positions(json.dumps(rows).encode(), "JSON", "manual")


def test_a_full_row_is_taken_as_written() -> None:
    expected = ManualTerms(
        "p1", "cold", "BTC", Side.LONG, 94250.5, 85000.0, 97000.0, 50000.0, 5000.0, "a, b", 2
    )
    assert csv_of('p1,cold,BTC,LONG,94250.5,85000,97000,50000,5000,"a, b"') == Parsed(
        (expected,), ()
    )


@pytest.mark.parametrize("field", ["id", "wallet"])
@pytest.mark.parametrize("odd", ["a\x1b[2Jb", "a\tb", "a\x9bb"])
def test_a_control_character_in_a_name_is_refused_and_in_a_note_is_kept(
    field: str, odd: str
) -> None:
    (refused,) = json_of(GOOD | {field: odd}).refusals
    assert (refused.field, refused.reason) == (field, "INVALID_FIELD")
    assert refused.message == "Must not hold control characters."
    (row,) = json_of(GOOD | {"note": "one\n\ttwo"}).rows
    assert row.note == "one\n\ttwo"


def test_empty_cells_are_absent_and_the_wallet_is_the_default() -> None:
    (row,) = csv_of(",,eth,short,3000,,0,900,300,").rows
    assert (row.id, row.wallet, row.asset, row.side) == (None, "manual", "eth", Side.SHORT)
    assert row.liquidation_price_usd is None
    assert row.mark_price_usd is None, "exporters write 0 for unknown"


@pytest.mark.parametrize(
    "header",
    [
        "Symbol,Direction,Entry Price,Size USD,Collateral",
        "symbol;SIDE;entryPrice;sizeUsd;collateral",
        "asset_type\tposition-type\tentry price (USD)\tnotional_usd\tCollateral USD",
        "\ufeffasset,side,entry,size_usd,collateral",
        "sep=;\nsymbol;side;entry;size_usd;collateral",
        '\ufeff"sep=;"\r\nsymbol;side;entry;size_usd;collateral',
    ],
)
def test_other_peoples_names_and_separators_are_understood(header: str) -> None:
    separator = next(mark for mark in ";\t," if mark in header)
    (row,) = csv_of(separator.join(["BTC", "Long", "100", "1000", "50"]), header=header).rows
    assert (row.entry_price_usd, row.size_usd, row.collateral_usd) == (100, 1000, 50)


def test_size_follows_from_collateral_and_leverage_and_the_reverse() -> None:
    rows = csv_of(
        "BTC,LONG,100,,50,4",
        "BTC,LONG,100,1000,,5",
        header="asset,side,entry,size_usd,collateral,leverage",
    ).rows
    assert [(row.size_usd, row.collateral_usd) for row in rows] == [(200, 50), (1000, 200)]


def test_json_is_a_list_or_an_object_with_positions() -> None:
    bare = json_of(GOOD)
    wrapped = parse_positions(
        json.dumps({"positions": [GOOD], "version": 1}).encode(), "JSON", "manual"
    )
    assert bare == wrapped and bare.rows[0].line == 1 and not bare.refusals
    named = json_of(
        {"Symbol": "BTC", "side": "buy", "entryPrice": "100", "leverage": 10, "collateral": "100"}
    )
    assert named.rows == bare.rows


def test_metrics_are_ignored() -> None:
    (row,) = json_of(
        {**GOOD, "heat_index": 55.5, "flags": ["FLAG_DEMO"], "travel_percent": None}
    ).rows
    assert row == json_of(GOOD).rows[0]


@pytest.mark.parametrize(
    ("venue", "reason"),
    [
        ("jupiter", "NOT_BY_HAND"),
        ("DYDX", "NOT_BY_HAND"),
        ("demo", "DEMO_REFUSED"),
        ("bank", "NOT_BY_HAND"),
    ],
)
def test_what_is_not_by_hand_is_refused_and_not_made_by_hand(venue: str, reason: str) -> None:
    parsed = json_of({**GOOD, "venue": venue})
    assert not parsed.rows
    assert (parsed.refusals[0].field, parsed.refusals[0].reason) == ("venue", reason)


def test_a_size_in_coins_is_taken_at_the_entry_price() -> None:
    (row,) = json_of({**GOOD, "size_usd": None, "size_tokens": 10}).rows
    assert row.size_usd == 1000


@pytest.mark.parametrize("name", ["size", "Position Size", "notional", "qty", "Amount"])
def test_a_size_without_its_unit_is_refused_in_a_sentence(name: str) -> None:
    (refusal,) = json_of({**GOOD, "size_usd": None, name: 0.5}).refusals
    assert (refusal.field, refusal.reason) == ("size", "AMBIGUOUS_UNIT")
    assert "size_usd" in refusal.message and "size_tokens" in refusal.message
    assert json_of({**GOOD, name: 0.5}).rows == json_of(GOOD).rows, "the unit is said beside it"


def test_two_sizes_are_refused() -> None:
    assert json_of({**GOOD, "size_tokens": 10}).refusals[0].reason == "AMBIGUOUS_UNIT"


@pytest.mark.parametrize(
    ("size_usd", "collateral_usd", "taken"),
    [
        (0.5, 4500, False),
        (5, 101, False),
        (5, 100, True),
        (1000, 0, True),
        (1e6, 101, True),
        (1e6, 99, False),
    ],
)
def test_a_size_far_from_its_collateral_is_not_meant(
    size_usd: float, collateral_usd: float, taken: bool
) -> None:
    parsed = json_of({**GOOD, "size_usd": size_usd, "collateral_usd": collateral_usd})
    assert bool(parsed.rows) is taken
    assert [one.reason for one in parsed.refusals] == ([] if taken else ["IMPLAUSIBLE"])


@pytest.mark.parametrize("name", ["size_in_coins.csv", "excel_sep_line.csv"])
def test_files_of_real_people(name: str) -> None:
    parsed = parse_positions((FIXTURES / name).read_bytes(), "CSV", "manual")
    if name == "size_in_coins.csv":
        assert [(one.line, one.field, one.reason) for one in parsed.refusals] == [
            (2, "size", "AMBIGUOUS_UNIT"),
            (3, "size", "AMBIGUOUS_UNIT"),
        ]
    else:
        assert [(row.line, row.entry_price_usd, row.wallet) for row in parsed.rows] == [
            (3, 91234.5, "sep")
        ]


@pytest.mark.parametrize("cell", ["1.250", "87.000", "1.250.000", " 12.500 "])
def test_a_dotted_number_in_a_file_with_semicolons_is_refused_not_read_a_thousand_times_too_small(
    cell: str,
) -> None:
    parsed = csv_of(f"ETH;SHORT;3400;{cell};2500", header="asset;side;entry;size_usd;collateral")
    assert [(one.field, one.reason) for one in parsed.refusals] == [
        ("size_usd", "AMBIGUOUS_NUMBER")
    ]
    assert not parsed.rows


@pytest.mark.parametrize(
    ("cell", "number"), [("1250.5", 1250.5), ("1250", 1250.0), ("2000.125", 2000.125)]
)
def test_a_number_that_can_only_be_meant_one_way_is_read_in_a_file_with_semicolons(
    cell: str, number: float
) -> None:
    parsed = csv_of(f"ETH;SHORT;3400;{cell};2500", header="asset;side;entry;size_usd;collateral")
    assert [row.size_usd for row in parsed.rows] == [number]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"PK\x03\x04" + bytes(range(256)), "save it as CSV"),
        (HEADER.encode("utf-16-le"), "looks like UTF-16"),
        (HEADER.encode("utf-16-be"), "looks like UTF-16"),
        (HEADER.encode("utf-16"), "save it as UTF-8"),
    ],
)
def test_a_file_in_another_form_is_refused_with_what_to_save_it_as(
    content: bytes, words: str
) -> None:
    with pytest.raises(InvalidArgument, match=words) as refused:
        parse_positions(content, "CSV", "manual")
    assert refused.value.reason == "BAD_FILE"


def test_lines_are_the_files_own_below_a_separator_line() -> None:
    text = "sep=;\nasset;side;entry;size_usd;collateral\nBTC;LONG;1,5;10;1\n"
    assert [
        (one.line, one.field) for one in parse_positions(text.encode(), "CSV", "x").refusals
    ] == [(3, "entry_price_usd")]


@pytest.mark.parametrize(
    ("field", "cell", "reason"),
    [
        ("status", "STALE", "UNKNOWN_NAME"),
        ("status", "OPEN", "UNKNOWN_NAME"),
        ("mark_time", "yesterday", "NOT_A_TIME"),
        ("mark_time", "2026-01-31T10:00:00", "NOT_A_TIME"),
        ("mark_time", "0001-01-01T00:00:00+23:00", "NOT_A_TIME"),
        ("mark_time", 5, "INVALID_FIELD"),
    ],
)
def test_a_status_or_time_that_cannot_be_is_refused(field: str, cell: object, reason: str) -> None:
    (refusal,) = json_of({**GOOD, field: cell}).refusals
    assert (refusal.field, refusal.reason) == (field, reason)


BAD_CELLS = [
    ("entry_price_usd", "", "MISSING_FIELD"),
    ("entry_price_usd", None, "MISSING_FIELD"),
    ("entry_price_usd", "0", "NOT_POSITIVE"),
    ("entry_price_usd", "-5", "NEGATIVE"),
    ("entry_price_usd", "nan", "NOT_FINITE"),
    ("entry_price_usd", "NaN", "NOT_FINITE"),
    ("entry_price_usd", "1e400", "NOT_FINITE"),
    ("entry_price_usd", float("inf"), "NOT_FINITE"),
    ("entry_price_usd", 10**400, "NOT_FINITE"),
    ("entry_price_usd", "$100", "NOT_A_NUMBER"),
    ("entry_price_usd", "1,000", "NOT_A_NUMBER"),
    ("entry_price_usd", "1_000", "NOT_A_NUMBER"),
    ("entry_price_usd", "١٢", "NOT_A_NUMBER"),
    ("entry_price_usd", True, "NOT_A_NUMBER"),
    ("entry_price_usd", [100], "NOT_A_NUMBER"),
    ("size_usd", "0", "NOT_POSITIVE"),
    ("size_usd", "-Infinity", "NOT_FINITE"),
    ("size_usd", None, "MISSING_FIELD"),
    ("collateral_usd", "-1", "NEGATIVE"),
    ("collateral_usd", "", "MISSING_FIELD"),
    ("liquidation_price_usd", "-1", "NEGATIVE"),
    ("mark_price_usd", "inf", "NOT_FINITE"),
    ("asset", "", "MISSING_FIELD"),
    ("asset", "<b>BTC</b>", "INVALID_FIELD"),
    ("asset", 7, "INVALID_FIELD"),
    ("side", "", "MISSING_FIELD"),
    ("side", "up", "UNKNOWN_NAME"),
    ("side", "UNKNOWN", "UNKNOWN_NAME"),
    ("note", "x" * 2001, "INVALID_FIELD"),
    ("note", "a\0b", "INVALID_FIELD"),
    ("note", "\ud800", "INVALID_FIELD"),
    ("wallet", "w" * 65, "INVALID_FIELD"),
]


@pytest.mark.parametrize(("field", "cell", "reason"), BAD_CELLS)
def test_a_bad_cell_refuses_its_row_and_no_other(field: str, cell: object, reason: str) -> None:
    parsed = json_of({**GOOD, "asset": "ETH"}, {**GOOD, field: cell}, {**GOOD, "asset": "SOL"})
    assert [row.asset for row in parsed.rows] == ["ETH", "SOL"]
    (refusal,) = parsed.refusals
    assert (refusal.line, refusal.field, refusal.reason) == (2, field, reason)
    assert refusal.message


def test_leverage_that_explodes_is_refused() -> None:
    row = {**GOOD, "size_usd": None, "collateral_usd": 1e300, "leverage": 1e300}
    assert json_of(row).refusals[0].reason == "NOT_FINITE"
    assert json_of({**row, "leverage": 0}).refusals[0].field == "leverage_ratio"


def test_lines_are_counted_as_an_editor_does() -> None:
    parsed = csv_of("", 'a,,BTC,LONG,100,,,1000,100,"two', 'lines"', "b,,BTC,LONG,x,,,1000,100,")
    assert parsed.refusals[0].line == 5


def test_a_short_row_lacks_its_last_fields_and_a_long_one_is_refused() -> None:
    parsed = csv_of(
        "a,,BTC,LONG,100",
        "b,,BTC,LONG,100,,,1000,100,note,,",
        "c,,BTC,LONG,100,,,1000,100,note,more",
    )
    assert [row.id for row in parsed.rows] == ["b"]
    assert [(refusal.field, refusal.reason) for refusal in parsed.refusals] == [
        ("size_usd", "MISSING_FIELD"),
        ("", "BAD_ROW"),
    ]


def test_the_second_row_of_an_id_is_refused() -> None:
    parsed = json_of({**GOOD, "id": "a"}, {**GOOD, "id": "a"}, GOOD, GOOD)
    assert len(parsed.rows) == 3
    assert parsed.refusals[0].reason == "DUPLICATE_ID"


@pytest.mark.parametrize("row", [7, None, "text", [1], True])
def test_an_item_that_is_no_object_is_refused(row: object) -> None:
    assert json_of(row).refusals[0].reason == "BAD_ROW"


SECRET = "5f" * 32
KEYPAIR = list(range(64))


@pytest.mark.parametrize(
    "row",
    [
        {**GOOD, "note": SECRET},
        {**GOOD, "note": KEYPAIR},
        {**GOOD, "private_key": SECRET},
        {**GOOD, "key": KEYPAIR},
        {**GOOD, "deep": {"within": [SECRET]}},
        {**GOOD, SECRET: 1},
        {**GOOD, "wallet": " ".join(["word"] * 12)},
        [SECRET],
        SECRET,
    ],
)
def test_a_cell_shaped_like_a_secret_refuses_the_row_and_is_not_repeated(row: object) -> None:
    (refusal,) = json_of(row).refusals
    assert refusal.reason == "PRIVATE_KEY_REFUSED"
    assert SECRET[:10] not in repr(refusal)


def test_a_secret_in_a_csv_is_refused_wherever_it_stands() -> None:
    header = "asset,side,entry,size_usd,collateral,unknown"
    parsed = csv_of(
        f"BTC,LONG,100,1000,100,{SECRET}", f"BTC,LONG,100,1000,100,,{SECRET}", header=header
    )
    assert [refusal.reason for refusal in parsed.refusals] == ["PRIVATE_KEY_REFUSED"] * 2
    with pytest.raises(InvalidArgument) as caught:
        csv_of("1", header=f"asset,{SECRET}")
    assert caught.value.reason == "PRIVATE_KEY_REFUSED" and SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"", "CSV"),
        (b"\n\n", "CSV"),
        (b"\xff\xfe\x00", "CSV"),
        (b"1,2,3\n4,5,6", "CSV"),
        (b"asset,side\nBTC,LONG", "CSV"),
        (b"asset,side,entry,entry_price\nBTC,LONG,1,1", "CSV"),
        (b'asset,side,entry,size_usd,collateral\n"BTC,LONG,1', "CSV"),
        (b"", "JSON"),
        (b"{", "JSON"),
        (b"{}", "JSON"),
        (b"7", "JSON"),
        (b'{"positions": 3}', "JSON"),
        (b"[" * 100_000, "JSON"),
        (b"[" + b"9" * 5000 + b"]", "JSON"),
        (b"\xff", "JSON"),
        (b"<html>", "JSON"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_as_a_whole(content: bytes, kind: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        parse_positions(content, kind, "manual")
    assert caught.value.reason == "BAD_FILE"


@pytest.mark.slow
def test_a_hundred_thousand_rows_are_all_taken() -> None:
    body = "\n".join(
        [HEADER, *(f"p{n},w,BTC,LONG,{60000 + n},,,1000.5,100," for n in range(100_000))]
    )
    parsed = parse_positions(body.encode(), "CSV", "manual")
    assert len(parsed.rows) == 100_000 and not parsed.refusals
    assert parsed.rows[-1].entry_price_usd == 159_999


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4)
    ),
    max_leaves=12,
)
cells = st.fixed_dictionaries(
    {}, optional=dict.fromkeys([*HEADER.split(","), "leverage", "venue"], values)
)


@given(st.lists(cells | values, max_size=6))
def test_any_json_list_is_taken_or_refused_row_by_row(rows: list[object]) -> None:
    parsed = json_of(*rows)
    assert len(parsed.rows) + len(parsed.refusals) == len(rows)
    for row in parsed.rows:
        numbers = [row.entry_price_usd, row.size_usd, row.collateral_usd]
        assert all(math.isfinite(number) and number >= 0 for number in numbers)


@given(st.binary(max_size=300), st.sampled_from(["CSV", "JSON"]))
def test_any_bytes_are_rows_or_a_typed_refusal(content: bytes, kind: str) -> None:
    for body in (content, HEADER.encode() + b"\n" + content):
        reason = ""
        try:
            parse_positions(body, kind, "manual")
        except InvalidArgument as refused:
            reason = refused.reason
        assert reason in {"", "BAD_FILE", "PRIVATE_KEY_REFUSED"}
