"""The document says what the routes do, and says it with the words of the schemas."""

from __future__ import annotations

import importlib.resources
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from services.gateway import comments, openapi
from services.gateway.surface import routes

ROUTES = routes()
DOCUMENT = openapi.document(ROUTES, {})


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
    names = [operation["operationId"] for path in DOCUMENT["paths"].values() for operation in path.values()]
    assert sorted(names) == sorted(route.method.full_name for route in ROUTES)


def test_every_reference_leads_somewhere() -> None:
    for found in walked(DOCUMENT):
        if "$ref" in found:
            assert found["$ref"].removeprefix("#/components/schemas/") in DOCUMENT["components"]["schemas"]


def test_every_field_of_a_path_is_a_parameter() -> None:
    for route in ROUTES:
        operation = DOCUMENT["paths"][route.template][route.verb.lower()]
        named = [parameter["name"] for parameter in operation["parameters"] if parameter["in"] == "path"]
        assert named == list(route.path_fields)
        assert all(f"{{{name}}}" in route.template for name in named)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.method.name)
def test_streams_are_events_and_the_rest_is_json(route: Any) -> None:
    operation = DOCUMENT["paths"][route.template][route.verb.lower()]
    kind = "text/event-stream" if route.streams else "application/json"
    assert list(operation["responses"]["200"]["content"]) == [kind]
    assert ("requestBody" in operation) == bool(route.body)


def test_numbers_of_64_bits_are_strings_and_enums_are_names() -> None:
    alert = DOCUMENT["components"]["schemas"]["sonic.alerts.v1.Alert"]["properties"]
    assert alert["trigger_count"]["type"] == "string"
    assert "LEVEL_HIGH" in alert["level"]["enum"]
    assert alert["evaluated_time"]["format"] == "date-time"


def test_the_words_of_a_cycle_are_not_offered_in_any_request() -> None:
    for route in ROUTES:
        operation = DOCUMENT["paths"][route.template][route.verb.lower()]
        offered = {parameter["name"] for parameter in operation["parameters"]}
        if "requestBody" in operation:
            reference = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"]
            schema = DOCUMENT["components"]["schemas"][reference.removeprefix("#/components/schemas/")]
            offered |= set(schema["properties"])
        assert not {"cycle_id", "epoch"} <= set(route.method.input_type.fields_by_name) or not offered & {
            "cycle_id",
            "epoch",
        }, route.method.full_name


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
    assert operation["summary"] == "The price." and operation["description"].endswith("PRICE_NOT_FOUND.")
    price = document["components"]["schemas"]["sonic.price.v1.Price"]
    assert price["description"] == "A price." and price["properties"]["price_usd"]["description"] == "In USD."


def test_comments_that_came_with_the_stubs_cover_every_method() -> None:
    if not (importlib.resources.files("sonic") / comments.IMAGE).is_file():
        pytest.skip("the stubs came without their comments")
    assert {route.method.full_name for route in ROUTES} <= set(comments.packaged())
