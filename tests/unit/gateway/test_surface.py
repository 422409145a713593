"""Routes come from the annotations: all of them, nothing else, and no two for one request."""

from __future__ import annotations

from collections import Counter

import pytest
from google.api import annotations_pb2

from services.gateway.surface import FILES, Route, routes

ROUTES = routes()
METHODS = [
    method
    for file in FILES.values()
    for service in file.services_by_name.values()
    for method in service.methods
]


def path_of(route: Route) -> str:
    """A path that fits the template, with a value that needs percent signs in each field."""
    path = route.template
    for name in route.path_fields:
        path = path.replace(f"{{{name}}}", "a%2Fb%3Ac%20d")
    return path


def test_every_annotated_method_has_exactly_one_route_for_each_of_its_paths() -> None:
    annotated = [
        m.full_name
        for m in METHODS
        if m.GetOptions().HasExtension(annotations_pb2.http)
        for _ in (0, *m.GetOptions().Extensions[annotations_pb2.http].additional_bindings)
    ]
    assert sorted(annotated) == sorted(route.method.full_name for route in ROUTES)


def test_only_what_services_alone_ask_has_no_route() -> None:
    shown = {route.method.full_name for route in ROUTES}
    assert {m.name for m in METHODS if m.full_name not in shown} == {
        "ReadColumns",
        "ReadMinutes",
        "ReadMoves",
        "WatchStreams",
    }


def test_no_two_methods_share_a_verb_and_a_path() -> None:
    counts = Counter((route.verb, route.template) for route in ROUTES)
    assert [pair for pair, count in counts.items() if count > 1] == []


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.method.name)
def test_a_path_leads_to_its_own_method_first(route: Route) -> None:
    first = next(r for r in ROUTES if r.verb == route.verb and r.match(path_of(route)) is not None)
    assert first is route


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.method.name)
def test_a_name_with_slash_colon_and_space_arrives_whole(route: Route) -> None:
    assert route.match(path_of(route)) == dict.fromkeys(route.path_fields, "a/b:c d")


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.method.name)
def test_methods_that_change_nothing_are_told_from_those_that_do(route: Route) -> None:
    if route.verb == "GET":
        assert route.reads
    if route.verb in ("PATCH", "DELETE", "PUT"):
        assert not route.reads


def test_a_path_that_is_longer_or_shorter_does_not_fit() -> None:
    get_price = next(route for route in ROUTES if route.method.name == "GetPrice")
    assert get_price.match("/v1/prices/BTC") == {"asset": "BTC"}
    assert get_price.match("/v1/prices/BTC/history") is None
    assert get_price.match("/v1/prices/") is None
    assert get_price.match("/v1/prices") is None


def test_a_patch_names_the_field_that_its_body_fills() -> None:
    patches = [route for route in ROUTES if route.verb == "PATCH"]
    assert patches
    assert all(route.body not in ("", "*") for route in patches)
