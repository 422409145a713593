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
