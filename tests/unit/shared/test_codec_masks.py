"""Read masks: nothing but what was asked for, and a name that is not there is refused."""

from __future__ import annotations

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask

from shared.codec import apply_mask, check_mask, masked
from shared.errors import InvalidArgument


@pytest.mark.parametrize("paths", [[], ["*"]])
def test_an_empty_mask_and_a_star_keep_everything(paths: list[str]) -> None:
    assert masked([Duration(seconds=3, nanos=4)], FieldMask(paths=paths)) == [
        Duration(seconds=3, nanos=4)
    ]


def test_a_mask_keeps_its_fields_and_clears_the_others() -> None:
    assert masked([Duration(seconds=3, nanos=4)], FieldMask(paths=["nanos"])) == [Duration(nanos=4)]


def test_a_field_that_is_not_there_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InvalidArgument) as refused:
        check_mask(Duration, FieldMask(paths=["hours"]))
    assert refused.value.reason == "UNKNOWN_FIELD"
    assert "seconds, nanos" in refused.value.message


def test_a_mask_of_endless_paths_is_refused_before_it_is_read() -> None:
    endless = FieldMask(paths=["seconds"] * 201)
    for ask in (
        lambda: check_mask(Duration, endless),
        lambda: apply_mask(Duration(), endless, ["seconds"]),
    ):
        with pytest.raises(InvalidArgument) as refused:
            ask()
        assert refused.value.reason == "UNKNOWN_FIELD"
