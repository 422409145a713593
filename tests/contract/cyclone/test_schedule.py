"""The schedule as a person edits it."""

from __future__ import annotations

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from sonic.cyclone.v1 import cyclone_pb2 as pb

from shared.errors import Conflict, InvalidArgument
from tests.contract.cyclone.conftest import Servers


async def test_a_schedule_that_is_off_has_no_next_slot(servers: Servers) -> None:
    stub = await servers.start(sonic_schedule=True)
    assert (await stub.GetSchedule(pb.GetScheduleRequest())).HasField("next_time")
    off = pb.UpdateScheduleRequest(schedule=pb.Schedule(), update_mask=FieldMask(paths=["enabled"]))
    assert not (await stub.UpdateSchedule(off)).HasField("next_time")
    assert not (await stub.GetSchedule(pb.GetScheduleRequest())).HasField("next_time")


async def test_an_edit_of_a_schedule_somebody_else_changed_is_refused(servers: Servers) -> None:
    stub = await servers.start()
    read = await stub.GetSchedule(pb.GetScheduleRequest())
    read.interval.FromSeconds(30)
    mask = FieldMask(paths=["interval"])
    changed = await stub.UpdateSchedule(pb.UpdateScheduleRequest(schedule=read, update_mask=mask))
    assert changed.interval.ToSeconds() == 30
    assert changed.etag != read.etag
    with pytest.raises(Conflict) as caught:
        await stub.UpdateSchedule(pb.UpdateScheduleRequest(schedule=read, update_mask=mask))
    assert caught.value.reason == "ETAG_MISMATCH"


@pytest.mark.parametrize("seconds", [0, 4, 86_401])
async def test_an_interval_outside_5_seconds_to_1_day_is_refused(
    servers: Servers, seconds: int
) -> None:
    stub = await servers.start()
    schedule = pb.Schedule()
    schedule.interval.FromSeconds(seconds)
    with pytest.raises(InvalidArgument) as caught:
        await stub.UpdateSchedule(pb.UpdateScheduleRequest(schedule=schedule))
    assert caught.value.reason == "INVALID_FIELD"
