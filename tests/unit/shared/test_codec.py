"""What a value may be at the edge."""

import math
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc.error_details_pb2 import RetryInfo

from shared import codec
from shared.errors import InvalidArgument
from tests.contract.shared.echo import Word


def test_a_time_goes_out_and_comes_back_in_utc() -> None:
    moment = datetime(2026, 1, 2, 5, 0, 0, 123456, timezone(timedelta(hours=2)))
    stamp = codec.to_timestamp(moment)
    assert stamp is not None
    assert stamp.ToDatetime(UTC) == moment
    assert codec.to_timestamp(None) is None


def test_a_naive_time_is_a_mistake_of_ours() -> None:
    with pytest.raises(ValueError, match="time zone"):
        codec.to_timestamp(datetime(2026, 1, 1))


class Holder:
    """A message with one field that is set."""

    def __init__(self, **fields: Any) -> None:
        self.__dict__.update(fields)

    def HasField(self, _field: str) -> bool:
        return True


# 253370764800 is the first second of the year 9999, -62135596800 of the year 1.
@pytest.mark.parametrize("seconds", [10**15, 253_370_764_800, -1, -62_135_596_800])
def test_a_time_out_of_range_is_refused(seconds: int) -> None:
    holder: Any = Holder(seen_time=Timestamp(seconds=seconds))
    with pytest.raises(InvalidArgument) as raised:
        codec.from_timestamp(holder, "seen_time")
    assert raised.value.reason == "BAD_TIME"


@pytest.mark.parametrize("seconds", [0, 253_370_764_799])
def test_the_ends_of_time_are_times(seconds: int) -> None:
    holder: Any = Holder(seen_time=Timestamp(seconds=seconds))
    moment = codec.from_timestamp(holder, "seen_time")
    assert moment is not None
    assert moment.timestamp() == seconds


def test_a_duration_goes_out_and_comes_back() -> None:
    span = timedelta(seconds=1.5)
    assert (
        codec.from_duration(RetryInfo(retry_delay=codec.to_duration(span)), "retry_delay") == span
    )
    assert codec.from_duration(RetryInfo(), "retry_delay") is None
    assert codec.to_duration(None) is None


def test_a_duration_out_of_range_is_refused() -> None:
    with pytest.raises(InvalidArgument):
        codec.from_duration(RetryInfo(retry_delay=Duration(seconds=10**15)), "retry_delay")


@pytest.mark.parametrize("absent", [None, math.nan, math.inf, -math.inf])
def test_an_absent_number_stays_unset(absent: float | None) -> None:
    word = Word()
    codec.put(word, amount=absent)
    assert codec.number(word, "amount") is None


def test_zero_is_set_and_has_no_sign() -> None:
    word = Word()
    codec.put(word, amount=-0.0)
    assert word.HasField("amount")
    assert math.copysign(1, word.amount) == 1
    sent = codec.number(Word(amount=-0.0), "amount")
    assert sent == 0
    assert math.copysign(1, sent) == 1


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_number_from_outside_is_finite(value: float) -> None:
    with pytest.raises(InvalidArgument) as raised:
        codec.number(Word(amount=value), "amount")
    assert raised.value.reason == "NOT_FINITE"
    assert list(raised.value.fields) == ["amount"]


def test_a_mask_names_what_changes() -> None:
    word = Word(text="hello", amount=1)
    assert codec.apply_mask(word, FieldMask(paths=["amount", "amount"]), ["text", "amount"]) == [
        "amount"
    ]
    assert codec.apply_mask(Word(), FieldMask(paths=["*"]), ["text", "amount"]) == [
        "text",
        "amount",
    ]


def test_an_empty_mask_is_every_allowed_field_that_is_set() -> None:
    assert codec.apply_mask(Word(text="hello", amount=1), FieldMask(), ["amount"]) == ["amount"]


def test_an_unknown_path_is_refused_with_the_allowed_ones() -> None:
    with pytest.raises(InvalidArgument) as raised:
        codec.apply_mask(Word(), FieldMask(paths=["colour"]), ["text"])
    assert raised.value.reason == "UNKNOWN_FIELD"
    assert "text" in raised.value.message
