"""Messages and rows from and to domain values by name: nothing is forgotten."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import Enum, IntEnum
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sonic.monitor.v1 import monitor_pb2
from sonic.price.v1 import price_pb2 as pb

from shared import codec, rows
from shared.errors import InvalidArgument

NOW = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)


class Quality(IntEnum):
    GOOD = 1
    STALE = 2


class Word(Enum):
    HIGH = "HIGH"


@dataclass(frozen=True, slots=True)
class Source:
    source: str = "kraken"
    price_usd: float | None = 1.5
    confidence_usd: float | None = None
    price_time: datetime | None = NOW
    used: bool = True
    dropped_reason: str = ""
    notes: tuple[str, ...] = ("late",)
    high_24h_usd: float | None = None
    low_24h_usd: float | None = None


def test_a_message_is_filled_by_the_names_of_its_source() -> None:
    quote = codec.fill(pb.Quote, Source())
    assert (quote.source, quote.price_usd, list(quote.notes)) == ("kraken", 1.5, ["late"])
    assert quote.price_time.ToDatetime(UTC) == NOW
    assert not quote.HasField("confidence_usd")


@given(st.floats())
def test_an_optional_number_is_finite_or_absent_and_never_minus_zero(value: float) -> None:
    quote = codec.fill(pb.Quote, replace(Source(), price_usd=value))
    known = value == value and abs(value) != float("inf")
    assert quote.HasField("price_usd") is known
    assert not known or (quote.price_usd == value and str(quote.price_usd) != "-0.0")


def test_a_field_that_nothing_fills_is_refused_by_name() -> None:
    with pytest.raises(TypeError, match=r"Price is not filled by Source in .*asset"):
        codec.fill(pb.Price, Source(), quotes=[])
    with pytest.raises(TypeError, match="Quote has no field colour"):
        codec.fill(pb.Quote, Source(), colour="red")
    with pytest.raises(TypeError, match="needs messages, handed in, for quotes"):
        codec.fill(pb.Price, type("All", (), dict.fromkeys(pb.Price.DESCRIPTOR.fields_by_name))())


def test_values_that_are_handed_in_win_and_are_converted_alike() -> None:
    quote = codec.fill(pb.Quote, Source(), price_time=None, notes=[], unset=("source",))
    assert not quote.HasField("price_time")
    assert (quote.source, list(quote.notes)) == ("", [])


def test_an_enum_goes_by_its_number_or_by_its_word() -> None:
    @dataclass
    class Shown:
        level: object = "high"

    everything = dict.fromkeys(set(monitor_pb2.Monitor.DESCRIPTOR.fields_by_name))
    monitor = codec.fill(
        monitor_pb2.Monitor, Shown(), **(everything | {"notification_level": Word.HIGH})
    )
    assert monitor.notification_level == monitor_pb2.LEVEL_HIGH
    assert (
        codec.fill(pb.PriceRecord, Shown(), **_record(quality=Quality.STALE)).quality
        == Quality.STALE
    )


def _record(**values: object) -> dict[str, object]:
    return dict.fromkeys(pb.PriceRecord.DESCRIPTOR.fields_by_name) | values


class Read(NamedTuple):
    source: str
    price_usd: float | None
    price_time: datetime | None
    notes: tuple[str, ...]


def test_a_value_is_read_from_a_message_by_its_names() -> None:
    quote = codec.fill(pb.Quote, Source())
    assert codec.read(Read, quote) == Read("kraken", 1.5, NOW, ("late",))
    assert codec.read(Read, pb.Quote(), source="other") == Read("other", None, None, ())
    with pytest.raises(InvalidArgument) as refused:
        codec.read(Read, pb.Quote(price_usd=float("nan")))
    assert refused.value.reason == "NOT_FINITE"


def test_what_a_message_does_not_give_is_refused_by_name() -> None:
    class Other(NamedTuple):
        colour: str

    with pytest.raises(TypeError, match="Other is not given by Quote in colour"):
        codec.read(Other, pb.Quote())


@dataclass(frozen=True, slots=True)
class Stored:
    id: int
    quality: Quality | None
    word: Word
    tags: frozenset[str]
    counts: Mapping[str, int]
    ages: tuple[timedelta, ...] = ()


def test_a_value_is_read_from_a_row_by_its_columns() -> None:
    row = {
        "id": 7, "quality": 2, "word": "HIGH", "tags": ["a"], "counts": '{"a": 1}', "ages": [],
        "another": 1,
    }  # fmt: skip
    assert rows.read(Stored, row) == Stored(7, Quality.STALE, Word.HIGH, frozenset("a"), {"a": 1})
    assert rows.read(Stored, row | {"quality": None}, id=8).quality is None
    del row["id"]
    with pytest.raises(KeyError, match="id"):
        rows.read(Stored, row)
