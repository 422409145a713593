"""What `sonic up` tells people goes out whatever kept it from being asked for."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest
from sonic.xcom.v1 import unrecorded_pb2, unrecorded_pb2_grpc

from services.cli.alarm import Alarm
from services.cli.steady import Steady
from shared.clock import PushedClock
from shared.errors import FailedPrecondition
from shared.service_tokens import Identity
from tests.contract.cli.conftest import pushed


class Xcom(unrecorded_pb2_grpc.UnrecordedServiceServicer):
    """Takes everything."""

    def __init__(self) -> None:
        self.subjects: list[str] = []

    async def SendUnrecorded(self, request: Any, context: Any) -> Any:
        self.subjects.append(request.subject)
        taken = unrecorded_pb2.UnrecordedTry(channel="voice", accepted=True)
        return unrecorded_pb2.SendUnrecordedResponse(tries=[taken])


@pytest.mark.parametrize(
    "problem",
    [FailedPrecondition("CERTIFICATES_NOT_YOURS", "not yours"), OSError("no such file")],
)
async def test_an_alarm_goes_out_when_certificates_can_be_read_again(
    clock: PushedClock, said: list[str], problem: Exception
) -> None:
    server, xcom, problems = grpc.aio.server(), Xcom(), [problem]
    unrecorded_pb2_grpc.add_UnrecordedServiceServicer_to_server(xcom, server)
    address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()

    def identity() -> Identity | None:
        if problems:
            raise problems.pop()
        return None

    alarm = Alarm(lambda: address, said.append, clock, identity)
    running = asyncio.create_task(alarm.run())
    try:
        alarm.raised("Sonic has no database", "Nothing is judged.")
        await pushed(clock, lambda: bool(xcom.subjects) or running.done())
        alarm.raised("Another", "It goes on.")
        await pushed(clock, lambda: len(xcom.subjects) == 2 or running.done())
        assert not running.done()
        assert xcom.subjects == ["Sonic has no database", "Another"]
    finally:
        running.cancel()
        await server.stop(0)


async def test_an_alarm_goes_out_also_when_its_sending_was_cancelled(
    clock: PushedClock, said: list[str]
) -> None:
    asked: list[str] = []

    def identity() -> Identity | None:
        asked.append("")
        raise asyncio.CancelledError

    alarm = Alarm(lambda: "127.0.0.1:1", said.append, clock, identity)
    alarm.raised("Sonic has no database", "Nothing is judged.")
    async with Steady("alarm", alarm.run, said.append, clock):
        await pushed(clock, lambda: len(asked) == 3)
    assert said[0] == "alarm ended (CancelledError()); again in 0.5 s"
