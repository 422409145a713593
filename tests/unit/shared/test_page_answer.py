"""A page as JSON says what its message says, whatever its rows hold."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from google.protobuf.descriptor import FieldDescriptor as Field
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from sonic.alerts.v1 import alerts_pb2
from sonic.cyclone.v1 import cyclone_pb2
from sonic.hedges.v1 import hedges_pb2
from sonic.monitor.v1 import monitor_pb2
from sonic.positions.v1 import positions_pb2
from sonic.price.v1 import price_pb2
from sonic.withdrawals.v1 import withdrawals_pb2
from sonic.xcom.v1 import xcom_pb2

from shared.json_writer import written
from shared.page_answer import PageAnswer
from shared.rpc.fit import is_page

FILES = (
    *(alerts_pb2, cyclone_pb2, hedges_pb2, monitor_pb2),
    *(positions_pb2, price_pb2, withdrawals_pb2, xcom_pb2),
)
_NUMBERS = [None, 0.0, -0.0, 1.5, 7, 1e300, float("nan"), float("inf"), float("-inf")]
_TEXTS = ["", "plain", 'quo"te\\', "line\nfeed\x1f", "é𝛼 "]
_START = datetime(2025, 11, 24, 10, 0, 59, tzinfo=UTC)


def _lists() -> Iterator[tuple[type[Message], str, type[Message]]]:
    for file in FILES:
        for name in file.DESCRIPTOR.message_types_by_name:
            kind = getattr(file, name)
            if is_page(kind):
                rows = [f for f in kind.DESCRIPTOR.fields if f.is_repeated and f.message_type]
                yield kind, rows[0].name, GetMessageClass(rows[0].message_type)


LISTS = list(_lists())


def _is_map(field: Any) -> bool:
    return field.message_type is not None and bool(field.message_type.GetOptions().map_entry)


def _one(field: Any, chance: random.Random) -> object:
    """A value as domains hold it."""
    if field.enum_type is not None:
        return chance.choice([value.number for value in field.enum_type.values])
    match field.message_type and field.message_type.full_name:
        case "google.protobuf.Timestamp":
            fraction = chance.choice([0, 5, 120, 31_000, 250_000])
            return chance.choice([None, _START + timedelta(microseconds=fraction)])
        case "google.protobuf.Duration":
            return chance.choice([None, timedelta(0), timedelta(seconds=90, microseconds=1500)])
        case str():
            return GetMessageClass(field.message_type)()
    return {
        Field.CPPTYPE_STRING: lambda: chance.choice(_TEXTS),
        Field.CPPTYPE_BOOL: lambda: chance.random() < 0.5,
        Field.CPPTYPE_DOUBLE: lambda: chance.choice(_NUMBERS),
        Field.CPPTYPE_INT64: lambda: chance.choice([0, -1, 2**62, np.int64(7)]),
    }.get(field.cpp_type, lambda: chance.choice([0, 7, 2**31 - 1, np.int32(9)]))()


def _value(field: Any, chance: random.Random) -> object:
    if _is_map(field):
        is_number = field.message_type.fields_by_name["value"].cpp_type == Field.CPPTYPE_DOUBLE
        rows: dict[str, object] = {"b": 2.5, "a": 0.0} if is_number else {"b": "2", "a": ""}
        return rows if chance.random() < 0.5 else {}
    if field.is_repeated:
        found = (_one(field, chance) for _ in range(chance.randint(0, 3)))
        return [
            float(one) if field.cpp_type == Field.CPPTYPE_DOUBLE else one  # type: ignore[arg-type]
            for one in found
            if one is not None
        ]
    value = _one(field, chance)
    if value is None and not field.has_presence:
        return 0.0
    return value


def _is_nested(field: Any) -> bool:
    name = field.message_type.full_name if field.message_type is not None else ""
    return (
        bool(name)
        and not _is_map(field)
        and name
        not in (
            "google.protobuf.Timestamp",
            "google.protobuf.Duration",
        )
    )


def _rows(kind: type[Message], chance: random.Random) -> list[tuple[object, dict[str, object]]]:
    """Sources of one type; what is a message, and every seventh field, is given beside them."""
    fields = list(kind.DESCRIPTOR.fields)
    given = [f for place, f in enumerate(fields) if _is_nested(f) or place % 7 == 3]
    taken = [f for f in fields if f not in given]
    source = type("Source", (), dict.fromkeys(f.name for f in taken))
    rows = []
    for _ in range(20):
        row = source()
        for field in taken:
            setattr(row, field.name, _value(field, chance))
        rows.append((row, {field.name: _value(field, chance) for field in given}))
    return rows


@pytest.mark.parametrize(
    ("answer", "field", "kind"), LISTS, ids=[one[0].DESCRIPTOR.name for one in LISTS]
)
def test_json_of_a_page_says_what_its_message_says(
    answer: type[Message], field: str, kind: type[Message]
) -> None:
    chance = random.Random(answer.DESCRIPTOR.full_name)
    names = [one.name for one in kind.DESCRIPTOR.fields]
    for mask in ([], ["*"], chance.sample(names, k=min(3, len(names)))):
        begun = answer(next_page_token="next")  # type: ignore[call-arg]
        page = PageAnswer(begun, field, kind, _rows(kind, chance), FieldMask(paths=mask))
        assert json.loads(page.json()) == json.loads(written(page.message()))


def test_a_page_without_rows_has_an_empty_list() -> None:
    page = PageAnswer(
        positions_pb2.ListPositionsResponse(), "positions", positions_pb2.Position, [], FieldMask()
    )
    assert json.loads(page.json())["positions"] == []
    assert page.message() == positions_pb2.ListPositionsResponse()


def test_json_begins_as_no_message_of_ours_does() -> None:
    """A reader that takes both tells them apart by the first byte: as a message, a group."""
    page = PageAnswer(
        positions_pb2.ListPositionsResponse(), "positions", positions_pb2.Position, [], FieldMask()
    )
    assert page.json()[:1] == b"{"
    groups = [
        field.full_name
        for file in FILES
        for kind in file.DESCRIPTOR.message_types_by_name.values()
        for field in kind.fields
        if field.type == Field.TYPE_GROUP
    ]
    assert groups == []
