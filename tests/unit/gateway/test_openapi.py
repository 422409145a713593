"""The document says what the routes do, and says it with the words of the schemas."""

from __future__ import annotations

import importlib.resources
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from buf.validate import validate_pb2

from services.gateway import openapi
from services.gateway.rules import of_duration
from services.gateway.surface import routes
from shared.rpc import comments

ROUTES = routes()
DOCUMENT = openapi.document(ROUTES, {})
PATHS = openapi.paths(ROUTES)
SCHEMAS = DOCUMENT["components"]["schemas"]


def walked(value: Any) -> Iterator[dict[str, Any]]:
    """Every object inside."""
    if isinstance(value, dict):
        yield value
        for inside in value.values():
            yield from walked(inside)
    elif isinstance(value, list):
        for inside in value:
            yield from walked(inside)


def test_every_route_is_an_operation_with_a_name_of_its_own() -> None:
    names = [
        operation["operationId"]
        for path in DOCUMENT["paths"].values()
        for operation in path.values()
    ]
    assert len(names) == len(ROUTES) == len(set(names))
    assert {
        "listPositions",
        "getPrice",
        "syncPositions",
        "priceClearData",
        "alertsClearData",
    } <= set(names)
    assert all(name.isidentifier() and name[0].islower() for name in names)


def test_a_path_stands_once_whatever_its_fields_are_called() -> None:
    """`/v1/positions/{id}` and `/v1/positions/{position.id}` were two, and readers kept one of
    them.
    """
    bare = [re.sub(r"\{\w+\}", "{}", path) for path in DOCUMENT["paths"]]
    assert len(bare) == len(set(bare))
    assert set(DOCUMENT["paths"]["/v1/positions/{id}"]) == {"get", "patch", "delete"}
    for path, operations in DOCUMENT["paths"].items():
        for operation in operations.values():
            names = [parameter["name"] for parameter in operation["parameters"]]
            assert len(names) == len(set(names))
            assert [
                f"{{{p['name']}}}" for p in operation["parameters"] if p["in"] == "path"
            ] == re.findall(r"\{\w+\}", path)


def test_the_rules_of_the_protos_are_the_rules_of_the_schemas() -> None:
    rebalance = SCHEMAS["sonic.hedges.v1.AdviseRebalanceRequestInput"]
    assert set(rebalance["required"]) == {"target", "side", "field"}
    assert "SIDE_UNSPECIFIED" not in rebalance["properties"]["side"]["enum"]
    assert rebalance["properties"]["price_usd"]["exclusiveMinimum"] == 0
    span = SCHEMAS["sonic.hedges.v1.PriceRangeInput"]
    assert (
        span["properties"]["step_count"]["minimum"],
        span["properties"]["step_count"]["maximum"],
    ) == (2, 10_000)
    assert SCHEMAS["sonic.hedges.v1.PriceListInput"]["properties"]["prices_usd"]["minItems"] == 1
    contact = SCHEMAS["sonic.xcom.v1.ContactInput"]
    assert contact["properties"]["name"]["maxLength"] == 64
    (page,) = [
        p
        for p in DOCUMENT["paths"]["/v1/positions"]["get"]["parameters"]
        if p["name"] == "page_size"
    ]
    assert page["schema"]["minimum"] == 0


@pytest.mark.parametrize(
    ("first", "last"), [(10, 86_400), (60, 3_600), (0, 9), (7, 7), (1, 1_000), (99, 101), (0, 10)]
)
def test_a_span_between_two_bounds_is_a_pattern_of_exactly_those(first: int, last: int) -> None:
    rules: Any = validate_pb2
    ruled = rules.FieldRules()
    ruled.duration.gte.seconds, ruled.duration.lte.seconds = first, last
    pattern = re.compile(of_duration(ruled)["pattern"])
    for number in [
        *range(min(last + 200, 4_000)),
        *range(max(0, last - 200), last + 200),
        last * 10,
        last * 100,
    ]:
        assert bool(pattern.search(f"{number}s")) == (first <= number <= last), number
    assert pattern.search(f"{last}.000s")
    assert not pattern.search(f"{last}.001s")
    assert not pattern.search(f"-{last}s")


def test_what_comes_back_says_what_is_always_there() -> None:
    position = SCHEMAS["sonic.positions.v1.Position"]
    assert {"id", "asset", "side", "flags"} <= set(position["required"])
    assert "heat_index" not in position["required"]
    assert "null" not in str(position["properties"]["id"]["type"])


def test_what_is_sent_holds_nothing_that_is_not_known() -> None:
    for name, schema in SCHEMAS.items():
        assert name.endswith("Input") == (
            "additionalProperties" in schema and "properties" in schema
        ), name


def test_the_document_depends_on_the_descriptors_alone() -> None:
    assert openapi.document(routes(), {}) == DOCUMENT


def test_every_reference_leads_somewhere() -> None:
    for found in walked(DOCUMENT):
        if "$ref" in found:
            assert (
                found["$ref"].removeprefix("#/components/schemas/")
                in DOCUMENT["components"]["schemas"]
            )


def test_every_field_of_a_path_is_a_parameter() -> None:
    for route in ROUTES:
        operation = DOCUMENT["paths"][PATHS[route]][route.verb.lower()]
        named = [
            parameter["name"] for parameter in operation["parameters"] if parameter["in"] == "path"
        ]
        assert named == [name.rpartition(".")[2] for name in route.path_fields]
        assert all(f"{{{name}}}" in PATHS[route] for name in named)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.method.name)
def test_streams_are_events_and_the_rest_is_json(route: Any) -> None:
    operation = DOCUMENT["paths"][PATHS[route]][route.verb.lower()]
    kind = "text/event-stream" if route.streams else "application/json"
    # A report is a file as well.
    kinds = [kind, "text/html"] if route.method.name == "GetReport" else [kind]
    assert list(operation["responses"]["200"]["content"]) == kinds
    assert ("requestBody" in operation) == bool(route.body)


def test_numbers_of_64_bits_are_strings_and_enums_are_names() -> None:
    alert = DOCUMENT["components"]["schemas"]["sonic.alerts.v1.Alert"]["properties"]
    assert alert["trigger_count"]["type"] == "string"
    assert "LEVEL_HIGH" in alert["level"]["enum"]
    assert alert["evaluated_time"]["format"] == "date-time"


def test_the_words_of_a_cycle_are_not_offered_in_any_request() -> None:
    for route in ROUTES:
        operation = DOCUMENT["paths"][PATHS[route]][route.verb.lower()]
        offered = {parameter["name"] for parameter in operation["parameters"]}
        if "requestBody" in operation:
            reference = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"]
            schema = SCHEMAS[reference.removeprefix("#/components/schemas/")]
            offered |= set(schema["properties"])
        assert not {"cycle_id", "epoch"} <= set(
            route.method.input_type.fields_by_name
        ) or not offered & {"cycle_id", "epoch"}, route.method.full_name


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A schema with comments, compiled here."""
    folder = tmp_path_factory.mktemp("image")
    (folder / "colour.proto").write_text(
        """syntax = "proto3";
package test.v1;
// A colour.
message Colour {
  // Its name,
  // in lower case.
  string name = 1;
}
// How bright.
enum Light {
  // Not at all.
  LIGHT_UNSPECIFIED = 0;
}
// Paints.
service Painter {
  // Paints once. Fails with TOO_DARK.
  rpc Paint(Colour) returns (Colour);
}
"""
    )
    out = folder / "image.binpb"
    subprocess.run(
        [
            sys.executable,
            "-m",
            "grpc_tools.protoc",
            f"-I{folder}",
            "--include_source_info",
            f"--descriptor_set_out={out}",
            "colour.proto",
        ],
        check=True,
    )
    return out.read_bytes()


def test_comments_are_found_by_full_name(image: bytes) -> None:
    assert comments.of_image(image) == {
        "test.v1.Colour": "A colour.",
        "test.v1.Colour.name": "Its name,\nin lower case.",
        "test.v1.Light": "How bright.",
        "test.v1.Light.LIGHT_UNSPECIFIED": "Not at all.",
        "test.v1.Painter": "Paints.",
        "test.v1.Painter.Paint": "Paints once. Fails with TOO_DARK.",
    }


def test_comments_become_descriptions() -> None:
    words = {
        "sonic.price.v1.PriceService.GetPrice": "The price.\nFails with PRICE_NOT_FOUND.",
        "sonic.price.v1.Price": "A price.",
        "sonic.price.v1.Price.price_usd": "In USD.",
    }
    document = openapi.document(ROUTES, words)
    operation = document["paths"]["/v1/prices/{asset}"]["get"]
    assert operation["summary"] == "The price." and operation["description"].endswith(
        "PRICE_NOT_FOUND."
    )
    price = document["components"]["schemas"]["sonic.price.v1.Price"]
    assert (
        price["description"] == "A price."
        and price["properties"]["price_usd"]["description"] == "In USD."
    )


def test_comments_that_came_with_the_stubs_cover_every_method() -> None:
    if not (importlib.resources.files("sonic") / comments.IMAGE).is_file():
        pytest.skip("the stubs came without their comments")
    assert {route.method.full_name for route in ROUTES} <= set(comments.packaged())
