"""HTTP to message and back: any field of any request by body, query or path; what does not fit is
named.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import pytest
from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from hypothesis import given, settings
from hypothesis import strategies as st

from services.gateway.surface import Route, message_class, routes
from services.gateway.transcode import request_message
from shared.errors import InvalidArgument
from shared.json_writer import written

ROUTES = {route.method.name: route for route in routes()}
TYPES = {
    "google.protobuf.Timestamp": st.datetimes().map(
        lambda at: f"{at.isoformat(timespec='microseconds')}Z"
    ),
    "google.protobuf.Duration": st.integers(0, 10**6).map(lambda seconds: f"{seconds}s"),
    "google.protobuf.FieldMask": st.just("low,highChannels"),
}
WORDS = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)


def scalar(field: FieldDescriptor) -> st.SearchStrategy[Any]:
    kind = field.cpp_type
    if field.enum_type is not None:
        return st.sampled_from([value.name for value in field.enum_type.values if value.number])
    if kind == FieldDescriptor.CPPTYPE_BOOL:
        return st.booleans()
    if kind in (FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT):
        return NUMBERS
    if kind == FieldDescriptor.CPPTYPE_INT32:
        return st.integers(-(2**31), 2**31 - 1)
    if kind == FieldDescriptor.CPPTYPE_INT64:
        return st.integers(-(2**63), 2**63 - 1).map(str)
    if field.type == FieldDescriptor.TYPE_BYTES:
        return st.just("aGVsbG8=")
    return WORDS


def value_of(field: FieldDescriptor) -> st.SearchStrategy[Any]:
    message = field.message_type
    if message is None:
        one = scalar(field)
    elif message.GetOptions().map_entry:
        return st.dictionaries(WORDS, scalar(message.fields_by_name["value"]), max_size=3)
    else:
        known = TYPES.get(message.full_name)
        one = fields_of(message) if known is None else known
    return st.lists(one, min_size=1, max_size=3) if field.is_repeated else one


def fields_of(
    descriptor: Descriptor, *, without: frozenset[str] = frozenset()
) -> st.SearchStrategy[Any]:
    """JSON of some fields; of a oneof with more than one choice only the first."""
    chosen = {}
    for field in descriptor.fields:
        oneof = field.containing_oneof
        if field.name not in without and (oneof is None or oneof.fields[0] is field):
            chosen[field.name] = value_of(field)
    return st.fixed_dictionaries({}, optional=chosen)


def in_path(route: Route, name: str) -> str:
    """What may stand in a path for a field: a number where it is one."""
    field = route.method.input_type.fields_by_name.get(name)
    return (
        "7" if field is not None and field.type in (field.TYPE_INT64, field.TYPE_INT32) else "named"
    )


def parsed(route: Route, fields: dict[str, Any]) -> Message:
    return json_format.ParseDict(fields, message_class(route.method.input_type)())


@pytest.mark.parametrize(
    "route", [r for r in ROUTES.values() if r.body == "*"], ids=lambda r: r.method.name
)
def test_any_field_can_be_sent_in_the_body(route: Route) -> None:
    @settings(max_examples=15)
    @given(
        fields_of(route.method.input_type, without=frozenset(route.path_fields) | route.withheld)
    )
    def sent(fields: dict[str, Any]) -> None:
        path = {name: in_path(route, name) for name in route.path_fields}
        message = request_message(route, path, [], json.dumps(fields).encode())
        assert message == parsed(route, fields | path)

    sent()


@pytest.mark.parametrize(
    "route", [r for r in ROUTES.values() if not r.body], ids=lambda r: r.method.name
)
def test_any_field_can_be_sent_in_the_query(route: Route) -> None:
    @settings(max_examples=15)
    @given(
        fields_of(route.method.input_type, without=frozenset(route.path_fields) | route.withheld)
    )
    def sent(fields: dict[str, Any]) -> None:
        query = [
            (name, json.dumps(item) if isinstance(item, bool | int | float) else item)
            for name, value in fields.items()
            for item in (value if isinstance(value, list) else [value])
        ]
        path = {name: in_path(route, name) for name in route.path_fields}
        assert request_message(route, path, query, b"") == parsed(route, fields | path)

    sent()


@pytest.mark.parametrize("route", ROUTES.values(), ids=lambda r: r.method.name)
def test_an_answer_is_read_back_as_it_was(route: Route) -> None:
    @settings(max_examples=10)
    @given(fields_of(route.method.output_type))
    def answered(fields: dict[str, Any]) -> None:
        message = json_format.ParseDict(fields, route.response_class())
        assert json_format.Parse(written(message), route.response_class()) == message

    answered()


def sent(
    name: str,
    *,
    path: dict[str, str] | None = None,
    query: Sequence[tuple[str, str]] = (),
    body: Any = None,
) -> Any:
    text = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    return request_message(ROUTES[name], path or {}, query, text)


@pytest.mark.parametrize(
    ("body", "mask"),
    [
        ({"enabled": False}, ["enabled"]),
        ({"low": 0, "enabled": True}, ["low", "enabled"]),
        ({"low": None}, ["low"]),
        ({"lowChannels": []}, ["low_channels"]),
        ({"id": "b", "enabled": False, "etag": "r1"}, ["enabled"]),
        ({}, []),
    ],
)
def test_a_patch_without_a_mask_changes_what_its_body_names(
    body: dict[str, Any], mask: list[str]
) -> None:
    message = sent("UpdateThreshold", path={"threshold.id": "a"}, body=body)
    assert message.update_mask.paths == mask
    assert message.threshold.id == "a"


@pytest.mark.parametrize("body", [{"id": {"a": 1}}, {"id": 7}, b" "])
def test_a_body_that_does_not_fit_is_refused_where_the_path_wins_too(body: Any) -> None:
    with pytest.raises(InvalidArgument, match="BAD_JSON"):
        sent("UpdateThreshold", path={"threshold.id": "a"}, body=body)


@pytest.mark.parametrize("written", ["low_channels,enabled", "lowChannels, enabled"])
def test_a_mask_in_the_query_wins_in_either_spelling(written: str) -> None:
    message = sent(
        "UpdateThreshold",
        path={"threshold.id": "a"},
        query=[("update_mask", written)],
        body={"low": 1},
    )
    assert message.update_mask.paths == ["low_channels", "enabled"]


@pytest.mark.parametrize("written", ["SIDE_LONG", "long", "Long", "side long", "LONG"])
def test_names_are_taken_as_people_write_them(written: str) -> None:
    assert sent("CreatePosition", body={"side": written}).position.side == 1
    assert sent("ListPositions", query=[("side", written)]).side == 1


def test_a_dotted_parameter_reaches_into_a_message() -> None:
    route = ROUTES["ListSnapshots"]
    with pytest.raises(InvalidArgument) as caught:
        request_message(
            route, {}, [("start_time.seconds", "5"), ("start_time", "2026-01-01T00:00:00Z")], b""
        )
    assert caught.value.reason == "BAD_JSON"


@pytest.mark.parametrize(
    ("name", "query", "body", "reason"),
    [
        ("ListPositions", [("colour", "red")], None, "UNKNOWN_FIELD"),
        ("ListPositions", [("side.sort", "1")], None, "UNKNOWN_FIELD"),
        ("ListPositions", [("side", "upwards")], None, "UNKNOWN_NAME"),
        ("ListPositions", [("page_size", "many")], None, "BAD_JSON"),
        ("ListPositions", [("page_size", "1"), ("page_size", "2")], None, "BAD_JSON"),
        ("ListPositions", [("all_statuses", "perhaps")], None, "BAD_JSON"),
        ("ListPositions", [("read_mask", "\x1e")], None, "BAD_JSON"),
        ("CreatePosition", [("position.asset", "BTC")], {}, "UNKNOWN_FIELD"),
        ("CreatePosition", [], {"side": "sideways"}, "UNKNOWN_NAME"),
        ("CreatePosition", [], {"colour": "red"}, "UNKNOWN_FIELD"),
        ("CreatePosition", [], [], "BAD_JSON"),
        ("CreatePosition", [], b"{", "BAD_JSON"),
        ("CreatePosition", [], b"\xff\xfe{}", "BAD_JSON"),
        ("CreatePosition", [], b'{"size_usd": NaN}', "BAD_JSON"),
        ("CreatePosition", [], b'{"size_usd": 1e400}', "BAD_JSON"),
        ("CreatePosition", [], b'{"size_usd": "ten"}', "BAD_JSON"),
        ("CreatePosition", [], b'{"note": "\\ud800"}', "BAD_JSON"),
        ("CreatePosition", [], b"[" * 100_000, "BAD_JSON"),
        ("CreatePosition", [], b'{"a":' * 100_000, "BAD_JSON"),
        ("CreatePosition", [], b'{"size_usd": ' + b"9" * 10_000 + b"}", "BAD_JSON"),
        ("SyncPositions", [("force", "true")], {}, "UNKNOWN_FIELD"),
        ("ListPositions", [("page_size", str(2**70))], None, "BAD_JSON"),
        ("SyncPositions", [], {"wallets": "main"}, "BAD_JSON"),
    ],
)
def test_what_does_not_fit_is_refused_with_a_reason(
    name: str, query: list[tuple[str, str]], body: Any, reason: str
) -> None:
    with pytest.raises(InvalidArgument) as caught:
        sent(name, query=query, body=body)
    assert caught.value.reason == reason


STEPS = [
    route
    for route in ROUTES.values()
    if {"cycle_id", "epoch"}
    <= set(message_class(route.method.input_type).DESCRIPTOR.fields_by_name)
]


@pytest.mark.parametrize("route", STEPS, ids=lambda route: route.method.name)
@pytest.mark.parametrize(
    ("name", "value"), [("cycle_id", ""), ("cycleId", "c"), ("epoch", None), ("epoch", "5")]
)
def test_no_step_takes_the_words_of_a_cycle(route: Route, name: str, value: Any) -> None:
    path = {field: in_path(route, field) for field in route.path_fields}
    in_body = route.body == "*"
    query, body = ([], {name: value}) if in_body else ([(name, value or "")], {})
    with pytest.raises(InvalidArgument) as caught:
        request_message(route, path, query, json.dumps(body).encode())
    assert caught.value.reason == "UNKNOWN_FIELD"
    assert set(caught.value.fields) == {"cycle_id" if name == "cycleId" else name}
    assert "owner of the schedule" in caught.value.message


def test_a_step_that_is_asked_for_something_unknown_names_what_it_offers() -> None:
    with pytest.raises(InvalidArgument) as caught:
        sent("SyncPositions", body={"colour": "red"})
    known = caught.value.message.rpartition("known are ")[2].split(", ")
    assert "wallets" in known
    assert not {"cycle_id", "epoch"} & set(known)


def test_the_steps_are_known_by_their_fields() -> None:
    assert len(STEPS) >= 13
    assert {route.method.name for route in ROUTES.values() if route.withheld} == {
        route.method.name for route in STEPS
    }
    # Those that only name a cycle among others stay as they are.
    assert ROUTES["ListEvents"].withheld == frozenset()


@given(st.binary(max_size=200))
def test_no_body_breaks_the_reader(body: bytes) -> None:
    with suppress(InvalidArgument):
        sent("UpdateThreshold", path={"threshold.id": "a"}, body=body)


def test_an_absent_number_is_left_out_and_a_zero_is_shown() -> None:
    position = ROUTES["GetPosition"].response_class()
    shown = json.loads(written(position))
    assert "heat_index" not in shown
    assert shown["note"] == "" and shown["flags"] == [] and shown["status"] == "STATUS_UNSPECIFIED"
    assert math.isclose(
        json.loads(written(json_format.ParseDict({"heat_index": 0}, position)))["heat_index"],
        0,
    )
