"""A refused request names each field, rows by their place, and says what to do in plain words."""

from __future__ import annotations

import pytest
from google.protobuf.message import Message
from sonic.positions.v1 import positions_pb2 as positions
from sonic.xcom.v1 import xcom_pb2 as xcom

from shared.errors import InvalidArgument
from shared.rpc.validation import check

ROUTES = [xcom.LevelRoute(level=xcom.LEVEL_LOW), xcom.LevelRoute()]


@pytest.mark.parametrize(
    ("request_message", "field", "words"),
    [
        (positions.GetPositionRequest(), "id", "must be set"),
        (positions.ExportPositionsRequest(), "format", "must be set"),
        (positions.CreatePositionRequest(), "position", "must be set"),
        (positions.ShockGridRequest(), "shocks", "must contain at least 1 item(s)"),
        (
            xcom.UpdateLevelMapRequest(level_map=xcom.LevelMap(routes=ROUTES)),
            "level_map.routes[1].level",
            "must be set",
        ),
    ],
)
def test_a_refusal_names_the_field_and_what_it_needs(
    request_message: Message, field: str, words: str
) -> None:
    with pytest.raises(InvalidArgument) as refused:
        check(request_message)
    assert refused.value.reason == "INVALID_FIELD"
    assert refused.value.fields == {field: words}


BAD = "a\0b"
SEND = xcom.SendRequest(request_id="1", level=xcom.LEVEL_LOW, subject="s", source="test")


def _send(**fields: object) -> xcom.SendRequest:
    request = xcom.SendRequest(**fields)
    request.MergeFrom(SEND)
    return request


@pytest.mark.parametrize(
    ("request_message", "field"),
    [
        (positions.GetPositionRequest(id=BAD), "id"),
        (positions.CreatePositionRequest(position=positions.Position(note=BAD)), "position.note"),
        (positions.SyncPositionsRequest(wallets=["a", BAD]), "wallets[1]"),
        (_send(facts={"a": BAD}), "facts"),
        (_send(facts={BAD: "a"}), "facts"),
        # A message without any rule.
        (xcom.ListDeliveriesRequest(channel=BAD), "channel"),
    ],
)
def test_a_nul_character_is_refused_wherever_it_is(request_message: Message, field: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        check(request_message)
    assert refused.value.fields == {field: "must not hold a NUL character"}


ODD = "a\x1b[2Jb"


@pytest.mark.parametrize(
    ("request_message", "field"),
    [
        (positions.CreatePositionRequest(position=positions.Position(id=ODD)), "position.id"),
        (
            positions.CreatePositionRequest(position=positions.Position(wallet=ODD)),
            "position.wallet",
        ),
        (positions.CreatePositionRequest(request_id="a\nb"), "request_id"),
        (positions.CreateWalletRequest(wallet=positions.Wallet(name="a\tb")), "wallet.name"),
        (
            positions.CreateWalletRequest(wallet=positions.Wallet(tags=["a", "\x9b"])),
            "wallet.tags[1]",
        ),
        (positions.SyncPositionsRequest(cycle_id=ODD), "cycle_id"),
        (_send(incident_key=ODD), "incident_key"),
        (
            xcom.SendBatchRequest(requests=[_send(), _send(dedupe_key=ODD)]),
            "requests[1].dedupe_key",
        ),
    ],
)
def test_a_control_character_in_a_name_that_is_made_up_is_refused(
    request_message: Message, field: str
) -> None:
    with pytest.raises(InvalidArgument) as refused:
        check(request_message)
    assert refused.value.fields == {field: "must not hold control characters"}


def test_prose_has_lines_and_what_is_there_under_an_odd_name_can_be_taken_away() -> None:
    check(_send(body="one\n\ttwo", facts={"why": "a\nb"}))
    check(positions.DeletePositionRequest(id=ODD))
    check(positions.UpdatePositionRequest(position=positions.Position(id="a", note="one\ntwo")))


def test_zero_bytes_of_numbers_and_files_are_no_text() -> None:
    check(positions.ImportPositionsRequest(format=positions.FILE_FORMAT_CSV, content=b"a\0b"))
    check(positions.EvaluateAtPriceRequest(position_id="x", prices_usd=[1.0, 2.0]))
    check(SEND)
