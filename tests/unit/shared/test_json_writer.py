"""JSON of messages: what protobuf's own writer says, whatever a message of ours holds."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from google.protobuf import json_format
from google.protobuf.descriptor import FieldDescriptor as Field
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.struct_pb2 import Struct
from google.protobuf.timestamp_pb2 import Timestamp
from sonic.alerts.v1 import alerts_pb2
from sonic.cyclone.v1 import cyclone_pb2
from sonic.hedges.v1 import hedges_pb2
from sonic.monitor.v1 import monitor_pb2
from sonic.positions.v1 import positions_pb2
from sonic.price.v1 import price_pb2
from sonic.xcom.v1 import xcom_pb2

from shared.json_writer import written

FILES = (
    *(alerts_pb2, cyclone_pb2, hedges_pb2, monitor_pb2),
    *(positions_pb2, price_pb2, xcom_pb2),
)
KINDS = [kind for file in FILES for kind in file.DESCRIPTOR.message_types_by_name.values()]
REALS = [0.0, -0.0, 1.5, 1e300, -1e-9, 123456789.125, float("nan"), float("inf"), float("-inf")]
TEXTS = ["", "plain", 'quo"te\\', "line\nfeed\x1f", "é𝛼 ", "</script>"]


def _value(field: Any, chance: random.Random, depth: int) -> Any:
    if field.message_type is not None:
        return _filled(field.message_type, chance, depth + 1)
    if field.enum_type is not None:
        return chance.choice([*(value.number for value in field.enum_type.values), 0])
    return {
        Field.CPPTYPE_STRING: lambda: (
            b"\x00\xff\xfe" if field.type == Field.TYPE_BYTES else chance.choice(TEXTS)
        ),
        Field.CPPTYPE_BOOL: lambda: chance.random() < 0.5,
        Field.CPPTYPE_DOUBLE: lambda: chance.choice(REALS),
        Field.CPPTYPE_FLOAT: lambda: chance.choice(REALS[:3]),
        Field.CPPTYPE_INT64: lambda: chance.choice([0, -1, 2**62]),
        Field.CPPTYPE_UINT64: lambda: chance.choice([0, 2**63]),
    }.get(field.cpp_type, lambda: chance.choice([0, 7, 2**31 - 1]))()


def _filled(kind: Any, chance: random.Random, depth: int = 0) -> Message:
    message = GetMessageClass(kind)()
    if kind.full_name in ("google.protobuf.Timestamp", "google.protobuf.Duration"):
        message.seconds = chance.choice([0, 1_764_000_000, 253_402_300_799])  # type: ignore[attr-defined]
        message.nanos = chance.choice([0, 7, 5000, 120_000, 31_000_000, 250_000_000])  # type: ignore[attr-defined]
        return message
    if kind.full_name == "google.protobuf.FieldMask":
        message.paths.extend(["enabled", "max_leverage_ratio"][: chance.randint(0, 2)])  # type: ignore[attr-defined]
        return message
    for field in kind.fields:
        if chance.random() < 0.3 or depth > 4:
            continue
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            _fill_map(getattr(message, field.name), field.message_type, chance, depth)
        elif field.is_repeated:
            values = [_value(field, chance, depth) for _ in range(chance.randint(0, 3))]
            getattr(message, field.name).extend(values)
        elif field.message_type is not None:
            getattr(message, field.name).CopyFrom(_value(field, chance, depth))
        else:
            setattr(message, field.name, _value(field, chance, depth))
    return message


def _fill_map(found: Any, entry: Any, chance: random.Random, depth: int) -> None:
    key, value = entry.fields_by_name["key"], entry.fields_by_name["value"]
    for _ in range(2):
        if value.message_type is None:
            found[_value(key, chance, depth)] = _value(value, chance, depth)
        else:
            found[_value(key, chance, depth)].CopyFrom(_value(value, chance, depth))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.full_name)
def test_every_message_is_written_as_protobuf_writes_it(kind: Any) -> None:
    for seed in range(12):
        message = _filled(kind, random.Random(seed))
        theirs = json_format.MessageToDict(
            message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
        )
        assert json.loads(written(message)) == json.loads(json.dumps(theirs))


@pytest.mark.parametrize("seconds", [-62_135_596_800, -62_135_596_801, -1, 253_402_300_800])
def test_a_moment_beyond_what_clocks_show_is_left_to_protobuf(seconds: int) -> None:
    moment = Timestamp(seconds=seconds, nanos=5)
    try:
        theirs = moment.ToJsonString()
    except ValueError as error:
        with pytest.raises(type(error)):
            written(moment)
    else:
        assert json.loads(written(moment)) == theirs


def test_a_message_with_rules_of_its_own_is_left_to_protobuf() -> None:
    struct = Struct()
    struct.update({"a": [1, None, {"b": "c"}]})
    assert json.loads(written(struct)) == {"a": [1, None, {"b": "c"}]}
