"""Holds the nouns of a service to their plan: their rooms, and who of them knows whom. Reads source
only.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from tests.unit.test_shape import NOUNS, ROOT, SERVICES, imported, modules, shown

NOUN_ROOMS = {"domain", "service", "store", "servicer", "mapping", "ports"}


def nouns() -> list[Path]:
    """The folders of nouns that are there."""
    return [
        SERVICES / name / noun
        for name, of in NOUNS.items()
        for noun in sorted(of)
        if noun in rooms(name)
    ]


def rooms(service: str) -> set[str]:
    return {path.name for path in (SERVICES / service).iterdir() if path.is_dir()}


def test_every_room_of_a_noun_has_a_name_of_the_plan() -> None:
    assert not [
        shown(path)
        for noun in nouns()
        for path in noun.iterdir()
        if path.stem not in NOUN_ROOMS | {"__init__", "__pycache__"}
    ]


def places(module: str) -> tuple[str, str, str] | None:
    """Service, noun and room of a module of ours; no noun for what stands at the top of its
    service.
    """
    parts = module.split(".")
    if len(parts) < 3 or parts[0] != "services" or parts[1] not in NOUNS:
        return None
    is_noun = parts[2] in NOUNS[parts[1]] and parts[2] in rooms(parts[1])
    return (
        (parts[1], parts[2], parts[3] if len(parts) > 3 else "")
        if is_noun
        else (parts[1], "", parts[2])
    )


def crossings() -> Iterator[tuple[str, tuple[str, str, str], tuple[str, str, str]]]:
    """Every import from one noun of a service to another one of it."""
    for noun in nouns():
        for path in modules(shown(noun)):
            module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            here = places(module)
            for name in imported(path):
                there = places(name)
                if here and there and here[0] == there[0] and there[1] and here[1] != there[1]:
                    yield f"{shown(path)}: {name}", here, there


@pytest.mark.slow
def test_a_noun_knows_the_domain_and_the_use_cases_of_another_one_and_nothing_else_of_it() -> None:
    allowed = {
        "domain": {"domain"},
        "store": {"domain"},
        "service": {"domain", "service", "ports"},
        "ports": {"domain"},
        "mapping": {"domain", "service", "mapping"},
        "servicer": {"domain", "service", "mapping"},
    }
    assert not [told for told, here, there in crossings() if there[2] not in allowed[here[2]]]


def test_the_nouns_of_a_service_know_each_other_in_no_ring() -> None:
    knows: dict[tuple[str, str, str], set[tuple[str, str, str]]] = {}
    for _, here, there in crossings():
        knows.setdefault(here, set()).add(there)
    for noun in nouns():
        # Inside one they go down, whether an import says so or not.
        service, name = noun.parent.name, noun.name
        for upper, lower in pairwise(("servicer", "mapping", "service", "store", "domain")):
            knows.setdefault((service, name, upper), set()).add((service, name, lower))
    settled: set[tuple[str, str, str]] = set()
    everyone = set(knows) | {one for known in knows.values() for one in known}
    while free := {one for one in everyone - settled if knows.get(one, set()) <= settled}:
        settled |= free
    assert not everyone - settled
