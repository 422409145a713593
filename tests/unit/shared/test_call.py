"""What a call passes on to those it makes."""

from __future__ import annotations

import contextvars

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.rpc import call


def _passed_on(person: str) -> tuple[str, list[tuple[str, str]]]:
    """The name at the next service, and the metadata that carried it."""
    sent = contextvars.Context().run(_metadata, person)
    return contextvars.Context().run(_person, sent), sent


def _metadata(person: str) -> list[tuple[str, str]]:
    call.enter((), None)
    call.asked_by(person)
    return call.metadata()


def _person(sent: list[tuple[str, str]]) -> str:
    call.enter(sent, None)
    return call.person()


@pytest.mark.parametrize(
    "name", ["anna", "Jürgen Öz, 100 %", "a@b.example", "50%41", "x" * 128], ids=ascii
)
def test_the_name_of_a_person_arrives_as_it_was(name: str) -> None:
    assert _passed_on(name)[0] == name


@given(st.text(max_size=300))
def test_any_name_is_one_line_that_a_header_can_carry(name: str) -> None:
    arrived, sent = _passed_on(name)
    assert arrived.isprintable()
    assert 1 <= len(arrived) <= 128
    assert all(value.isascii() and value.isprintable() for _, value in sent)


def test_a_known_person_is_not_who_they_say_they_are() -> None:
    def said() -> list[str]:
        call.enter((), None)
        unknown = [call.person(), call.person("bob")]
        call.asked_by("anna")
        return [*unknown, call.person("bob")]

    assert contextvars.Context().run(said) == ["person", "bob", "anna"]
    assert call.person() == "person"


def test_a_secret_is_nobodys_name() -> None:
    arrived, sent = _passed_on("0x" + "ab" * 32)
    assert arrived == "person"
    assert call.PERSON not in dict(sent)


def test_an_operator_names_nobody_else_and_a_service_passes_names_on() -> None:
    def called_by(caller: str) -> str:
        call.enter([(call.PERSON, "anna")], None)
        call.called_by(caller)
        return call.person()

    assert contextvars.Context().run(called_by, "operator") == "person"
    assert contextvars.Context().run(called_by, "gateway") == "anna"


def test_what_a_person_asks_for_is_of_no_cycle() -> None:
    def passed_on() -> list[tuple[str, str]]:
        call.enter([(call.CYCLE_ID, "cyc-1"), (call.REQUEST_ID, "req-1")], None)
        call.asked_by("anna")
        return call.metadata()

    sent = contextvars.Context().run(passed_on)
    assert dict(sent) == {call.REQUEST_ID: "req-1", call.PERSON: "anna"}
