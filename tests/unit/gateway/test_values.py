"""What a JSON value may be for a field: names in any spelling, numbers that are numbers, no reader
breaks.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from hypothesis import given, settings
from hypothesis import strategies as st

from services.alerts.domain.kinds import AlertType
from services.alerts.thresholds.service.files import TYPE_ALIASES
from services.gateway.surface import Route, routes
from services.gateway.transcode import request_message
from services.gateway.values import ALIASES
from shared.errors import InvalidArgument
from shared.names import normalise
from tests.fakes.examples import share_of

ROUTES = {route.method.name: route for route in routes()}


def sent(name: str, query: list[tuple[str, str]] | None = None, body: Any = None) -> Any:
    route = ROUTES[name]
    path = dict.fromkeys(route.path_fields, "7")
    text = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    return request_message(route, path, query or [], text)


@pytest.mark.parametrize(
    ("written", "level"),
    [
        ("Critical", 4),
        ("CRITICAL", 4),
        ("high", 4),
        ("Warning", 3),
        ("medium", 3),
        ("Level low", 2),
        ("LEVEL_NORMAL", 1),
    ],
)
def test_levels_are_known_by_the_words_people_use(written: str, level: int) -> None:
    assert sent("ListAlerts", [("min_level", written)]).min_level == level


@pytest.mark.parametrize(
    "written",
    [
        "TravelPercentLiquid",
        "travel percent liquid",
        "travel-percent",
        "TRAVEL_PERCENT",
        "alertTypeTravelPercent",
    ],
)
def test_types_are_known_by_their_other_names_in_query_and_body(written: str) -> None:
    assert sent("ListAlerts", [("type", written)]).type == 3
    assert sent("CreateAlert", body={"alert": {"type": written}}).alert.type == 3


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InvalidArgument) as caught:
        sent("ListAlerts", [("min_level", "awful")])
    assert caught.value.reason == "UNKNOWN_NAME"
    assert caught.value.fields == {"min_level": "one of NORMAL, LOW, MEDIUM, HIGH"}


def test_the_other_names_are_those_of_the_service_and_lead_somewhere() -> None:
    taken = {normalise(name): meant for name, meant in TYPE_ALIASES.items()}
    assert ALIASES["AlertType"] == taken
    assert set(taken.values()) <= {kind.name for kind in AlertType}


def _numbers(descriptor: Descriptor) -> list[FieldDescriptor]:
    kinds = (
        FieldDescriptor.CPPTYPE_STRING,
        FieldDescriptor.CPPTYPE_BOOL,
        FieldDescriptor.CPPTYPE_MESSAGE,
    )
    return [field for field in descriptor.fields if field.cpp_type not in kinds]


BODIES = [
    (route, field)
    for route in ROUTES.values()
    if route.body
    for field in _numbers(route.body_type)
    # What the path says wins over the body.
    if field.name not in route.withheld
    and not any(at.endswith(field.name) for at in route.path_fields)
]


@pytest.mark.parametrize(
    ("route", "field"), BODIES, ids=[f"{route.method.name}.{field.name}" for route, field in BODIES]
)
def test_true_is_no_number_and_no_name(route: Route, field: FieldDescriptor) -> None:
    value: Any = [True] if field.is_repeated else True
    with pytest.raises(InvalidArgument) as caught:
        sent(route.method.name, body={field.name: value})
    (named,) = caught.value.fields
    assert field.name in named
    assert "true" in caught.value.message.lower()


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"size_usd": "1_000"}, "position.size_usd"),
        ({"size_usd": "1,5"}, "position.size_usd"),
        ({"size_usd": " 5"}, "position.size_usd"),
        ({"size_usd": "٣"}, "position.size_usd"),
        ({"size_usd": "NaN"}, "position.size_usd"),
        ({"size_usd": "Infinity"}, "position.size_usd"),
        ({"size_usd": "1e400"}, "position.size_usd"),
        ({"size_usd": 10**400}, "position.size_usd"),
        ({"size_usd": [1]}, "position.size_usd"),
        ({"side": 1.5}, "position.side"),
        ({"side": 99}, "position.side"),
        ({"side": -(10**200)}, "position.side"),
        ({"note": 5}, "position.note"),
        ({"note": {"a": "\ud800"}}, "position.note"),
        ({"note": "\udfff"}, "position.note"),
        ({"flags": "x"}, "position.flags"),
        ({"updated_time": 5}, "position.updated_time"),
        ({"\ud800": 5}, "position.\\ud800"),
    ],
)
def test_what_is_no_value_of_its_field_is_refused_by_the_fields_name(body: Any, field: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        sent("CreatePosition", body=body)
    assert list(caught.value.fields) == [field]
    caught.value.message.encode()


def test_a_number_is_a_number_and_text_only_where_it_has_64_bits() -> None:
    assert sent("CreatePosition", body={"size_usd": 5}).position.size_usd == 5
    assert sent("ListLedger", [("page_size", "5")]).page_size == 5
    for written in ("5", 5):
        assert (
            sent("CreateAlert", body={"alert": {"trigger_count": written}}).alert.trigger_count == 5
        )
    for written in ("5", "0.5e1", "+5"):
        with pytest.raises(InvalidArgument) as caught:
            sent("CreatePosition", body={"size_usd": written})
        assert caught.value.fields == {"position.size_usd": "a number"}


@pytest.mark.parametrize("written", [1, "1", 1.0])
def test_a_name_is_not_its_number(written: Any) -> None:
    with pytest.raises(InvalidArgument) as caught:
        sent("CreatePosition", body={"side": written})
    assert caught.value.reason == "UNKNOWN_NAME"


@pytest.mark.parametrize("written", ["1", "0", "", "yes"])
def test_true_and_false_are_written_as_such(written: str) -> None:
    assert sent("ListPositions", [("all_statuses", "True")]).all_statuses is True
    with pytest.raises(InvalidArgument) as caught:
        sent("ListPositions", [("all_statuses", written)])
    assert caught.value.fields == {"all_statuses": "true or false"}


@pytest.mark.parametrize(
    ("name", "query"),
    [
        ("ListPositions", [("side", "--5")]),
        ("ListPositions", [("side", "9" * 4_300)]),
        ("ListPositions", [("page_size", "9" * 4_301)]),
        ("ListPositions", [("page_size", "--5")]),
        ("ListPositions", [("side", "²")]),
        ("ListPositions", [("side", "٣")]),
    ],
)
def test_a_number_in_the_query_that_is_none_is_refused(
    name: str, query: list[tuple[str, str]]
) -> None:
    with pytest.raises(InvalidArgument) as caught:
        sent(name, query)
    assert list(caught.value.fields) == [query[0][0]]


@pytest.mark.parametrize("depth", [90, 400, 900, 5_000])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_a_value_of_any_depth_is_refused(depth: int, opening: str, closing: str) -> None:
    body = f'{{"note": {opening * depth}1{closing * depth}}}'.encode()
    with pytest.raises(InvalidArgument):
        sent("CreatePosition", body=body)


def test_a_field_given_twice_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="given twice"):
        sent("CreatePosition", body=b'{"note": "a", "note": "b"}')


ANY_TEXT = st.text(max_size=20) | st.text(
    st.characters(categories=["Cs", "Cc", "Nd", "Zs"]), max_size=5
)
ANY_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | ANY_TEXT
    | st.integers(10**300, 10**310),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(ANY_TEXT, inside, max_size=3),
    max_leaves=6,
)


@pytest.mark.slow
@settings(max_examples=share_of(400), deadline=None)
@given(st.sampled_from(sorted(ROUTES)), st.data())
def test_whatever_is_sent_is_a_request_or_a_refusal_that_can_be_told(
    name: str, data: st.DataObject
) -> None:
    route = ROUTES[name]
    known = [field.name for field in route.method.input_type.fields]
    names = st.sampled_from(known) | ANY_TEXT if known else ANY_TEXT
    inside = [field.name for field in route.body_type.fields]
    body = data.draw(
        st.dictionaries(
            st.sampled_from(inside) | ANY_TEXT if inside else ANY_TEXT, ANY_JSON, max_size=4
        )
    )
    query = data.draw(st.lists(st.tuples(names, ANY_TEXT), max_size=2))
    path = {field: data.draw(ANY_TEXT) for field in route.path_fields}
    try:
        request_message(route, path, query, json.dumps(body).encode())
    except InvalidArgument as refused:
        json.dumps([refused.message, refused.fields], ensure_ascii=False).encode()
