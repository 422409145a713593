"""Who may call what is the calls that are really made, and nothing else."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from google.protobuf import descriptor_pb2
from sonic.callers import CALLERS

from protos import call_rules
from services.gateway.surface import routes

ROOT = Path(__file__).resolve().parents[2]
SERVICES = ROOT / "services"
OPERATOR, GATEWAY = "operator", "gateway"
# The command line is an operator like any other.
PEERS = sorted(path.parent.name for path in SERVICES.glob("*/server.py"))


@cache
def methods() -> dict[str, tuple[str, str, str]]:
    """Package's service, gRPC service and method of every RPC, by its path."""
    image = (ROOT / "protos" / "sonic.binpb").read_bytes()
    files = descriptor_pb2.FileDescriptorSet.FromString(image).file
    return {
        f"/{file.package}.{service.name}/{method.name}": (
            file.package.split(".")[1],
            service.name,
            method.name,
        )
        for file in files
        if file.name.startswith("sonic/")
        for service in file.service
        for method in service.method
    }


def named(path: Path) -> set[str]:
    """Every name and attribute of a file."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    names = {node.id for node in nodes if isinstance(node, ast.Name)}
    return names | {node.attr for node in nodes if isinstance(node, ast.Attribute)}


def calls(caller: str) -> Iterator[str]:
    """The methods whose stub and name stand in one file of a service."""
    for path in (SERVICES / caller).rglob("*.py"):
        names = named(path)
        for full, (owner, service, method) in methods().items():
            if owner != caller and {f"{service}Stub", method} <= names:
                yield full


def ruled(caller: str) -> set[str]:
    return {name for name, callers in CALLERS.items() if "/sonic." in name and caller in callers}


def test_every_rpc_has_a_rule_and_no_rule_is_without_an_rpc() -> None:
    assert {name for name in CALLERS if name.startswith("/sonic.")} == set(methods())
    callers = frozenset[str]().union(*CALLERS.values())
    assert callers <= {OPERATOR, *PEERS}


@pytest.mark.parametrize("caller", [name for name in PEERS if name != GATEWAY])
def test_a_service_may_call_exactly_what_it_calls(caller: str) -> None:
    assert ruled(caller) == set(calls(caller))


def test_the_gateway_may_call_its_routes_and_what_it_answers_with() -> None:
    assert ruled(GATEWAY) == {route.full_name for route in routes()} | set(calls(GATEWAY))


def test_people_with_the_operators_certificate_may_call_everything() -> None:
    assert ruled(OPERATOR) == set(methods())


def test_the_words_of_a_cycle_are_cyclones_alone() -> None:
    assert [name for name in CALLERS if not name.startswith("/")] == ["cycle_id+epoch"]
    assert CALLERS["cycle_id+epoch"] == {"cyclone"}


def test_a_method_without_a_rule_fails_the_generator() -> None:
    rules = call_rules.parsed("a.B/C: d\n")
    assert call_rules.problems(rules, ["a.B/C"]) == []
    assert "nobody may call a.B/D" in call_rules.problems(rules, ["a.B/C", "a.B/D"])[0]
    assert "there is no a.B/C" in call_rules.problems(rules, [])[0]


@pytest.mark.parametrize("text", ["a.B/C d", "a.B/C: ", "a.B/C: d\na.B/C: e", "a.B/D: d\na.B/C: d"])
def test_a_line_that_is_no_rule_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        call_rules.parsed(text)
