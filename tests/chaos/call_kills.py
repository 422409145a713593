"""By hand: `make call-kills` (ARGS="--kills 1000") kills xcom 1000 times while it calls people.

Takes half an hour: incidents wait more than they work, so some run at once, each on a database and
a telephone of its own. Exit code 0 when the next contact was reached each time, and nobody was
called more often than the limits say.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import random
import shutil
import tempfile
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from google.protobuf.duration_pb2 import Duration
from sonic.xcom.v1 import xcom_pb2 as pb
from sonic.xcom.v1 import xcom_pb2_grpc as rpc

from shared.lifecycle import App
from shared.postgres import EmbeddedPostgres
from shared.rpc.client import Channel
from tests.chaos.fast_clock import FastClock, context, started
from tests.contract.xcom.conftest import twilio_settings, until
from tests.contract.xcom.processes import answering, free_port
from tests.fakes.databases import Databases, found, template
from tests.fakes.twilio import BUSY, NOBODY, PERSON, VOICEMAIL, FakeTwilio, Ring, answer
from tests.fakes.webhook import Received, Reply

REPOSITORY = Path(__file__).resolve().parents[2]
KILLS_A_TRIAL = 5
_SPEED = 20.0
_UNANSWERED = (NOBODY, BUSY, VOICEMAIL, Ring(8, 2))
# A process that has nothing to do any more is killed all the same.
_LONGEST_SECONDS = 6.0


class Moment(StrEnum):
    """Where the kill lands."""

    ASKED = "a call was asked for, not placed"
    PLACED = "placed, not answered"
    ANSWERED = "answered, up to 20 ms later"
    LOOKED = "asked how it ends"
    ANY = "within 3 s"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one incident: calls of each number, and whether the last contact heard."""

    own_count: int
    contact_count: int
    most_in_half_an_hour: int
    is_heard: bool

    @property
    def is_as_promised(self) -> bool:
        """Never silent, never beyond the limits."""
        within = max(self.own_count, self.contact_count) <= 4 and self.most_in_half_an_hour <= 6
        return within and self.is_heard


class DeadlyTwilio(FakeTwilio):
    """Kills who asks, at a moment."""

    def __init__(self, clock: FastClock, chance: random.Random) -> None:
        super().__init__(clock.now)
        self._chance = chance
        self.standing["Calls"] = ""
        self.moment: Moment | None = None
        self.kill: Callable[[], None] = lambda: None
        self.answer = self._deadly

    def _deadly(self, received: Received) -> Reply:
        places = bool(received.raw) and received.path.endswith("/Calls.json")
        looks = not received.raw and "/Calls/" in received.path
        if places and self.moment is Moment.ASKED:
            self.kill()
            return answer(503, {})
        reply = self._decide(received)
        if (places and self.moment is Moment.PLACED) or (looks and self.moment is Moment.LOOKED):
            self.kill()
        if places and self.moment is Moment.ANSWERED:
            asyncio.get_running_loop().call_later(self._chance.uniform(0, 0.02), self.kill)
        return reply


class Trials:
    """Incidents one after the other on one database."""

    def __init__(self, databases: Databases, chance: random.Random) -> None:
        self._databases = databases
        self._chance = chance
        self._clock = FastClock(time.time(), _SPEED)
        self._context = context()
        self._numbers = itertools.count(1_000_000)
        self.kill_count = 0

    async def incident(self) -> Outcome:
        """One HIGH that the first contact never hears, with kills on its way to the second."""
        own, contact = f"+4930{next(self._numbers)}", f"+4930{next(self._numbers)}"
        async with DeadlyTwilio(self._clock, self._chance) as phone:
            ring = self._chance.choice(_UNANSWERED)
            phone.take = lambda number, _before: PERSON if number == contact else ring
            async with AsyncExitStack() as stack:
                stub = await self._serving(stack, phone, own)
                await stub.escalation.UpdateEscalationChain(_chain(contact))
                message = await stub.xcom.Send(_request(own))
                await self._killed(phone, stub.process)
            for _ in range(KILLS_A_TRIAL - 1):
                async with AsyncExitStack() as stack:
                    stub = await self._serving(stack, phone, own)
                    await self._killed(phone, stub.process)
            async with AsyncExitStack() as stack:
                stub = await self._serving(stack, phone, own)
                await until(lambda: _heard(stub.xcom, message.id), 60)
                await stub.escalation.AckMessage(pb.AckMessageRequest(id=message.id))
                times = [one.created_time for one in phone.placed]
                half_an_hour = timedelta(minutes=30)
                lately = [
                    sum(one.form["To"] == number and last - half_an_hour < one.created_time <= last
                        for one in phone.placed)
                    for number in (own, contact)
                    for last in times
                ]  # fmt: skip
                return Outcome(
                    len(phone.rings_to(own)), len(phone.rings_to(contact)), max(lately), True
                )

    async def _serving(self, stack: AsyncExitStack, phone: FakeTwilio, own: str) -> _Serving:
        address = f"127.0.0.1:{free_port()}"
        settings = twilio_settings(phone) | {
            "twilio_to": own,
            # By the machine's clock: what was asked for is known long before it is given up.
            "twilio_timeout_seconds": 0.7,
            "xcom_claim_margin_seconds": 25.0,
            "listen_address": address,
            "database_url": self._databases.url("xcom"),
            "log_level": "ERROR",
        }
        process = started(self._context, settings, self._clock)
        stack.callback(process.kill)
        channel = Channel(address, unary_seconds=30)
        await stack.enter_async_context(App("channel", [channel]))
        serving = _Serving(
            process, channel.stub(rpc.XComServiceStub), channel.stub(rpc.EscalationServiceStub)
        )
        await until(lambda: answering(serving.xcom))
        return serving

    async def _killed(self, phone: DeadlyTwilio, process: ForkServerProcess) -> None:
        moment = self._chance.choice(list(Moment))

        def kill() -> None:
            phone.moment = None
            process.kill()

        phone.kill, phone.moment = kill, moment
        seconds = self._chance.uniform(0, 3) if moment is Moment.ANY else _LONGEST_SECONDS
        began = time.monotonic()
        while process.is_alive() and time.monotonic() - began < seconds:
            await asyncio.sleep(0.02)
        kill()
        await asyncio.to_thread(process.join)
        self.kill_count += 1


@dataclass(frozen=True, slots=True)
class _Serving:
    process: ForkServerProcess
    xcom: rpc.XComServiceStub
    escalation: rpc.EscalationServiceStub


async def _heard(stub: rpc.XComServiceStub, message_id: str) -> bool | None:
    message = await stub.GetMessage(pb.GetMessageRequest(id=message_id))
    return (
        any(
            one.contact == "jane" and one.state == pb.DELIVERY_STATE_SENT
            for one in message.deliveries
        )
        or None
    )


def _request(own: str) -> pb.SendRequest:
    return pb.SendRequest(
        request_id=f"alerts-{own}",
        level=pb.LEVEL_HIGH,
        subject="SOL long travel -75.3 %",
        source="alerts",
        channels=["voice"],
        incident_key=own,
    )


def _chain(number: str) -> pb.UpdateEscalationChainRequest:
    """Her turn by the clock comes in hours: she is called when the first was called enough."""
    route = pb.ContactRoute(channel="voice", address=number)
    jane = pb.Contact(name="jane", wait=Duration(seconds=36_000), routes=[route])
    return pb.UpdateEscalationChainRequest(escalation_chain=pb.EscalationChain(contacts=[jane]))


async def call_kills(databases: Databases, count: int, seed: int = 0) -> list[Outcome]:
    """Outcomes of as many incidents as so many kills need."""
    trials, outcomes = Trials(databases, random.Random(seed)), []
    while trials.kill_count < count:
        outcomes.append(await trials.incident())
        if len(outcomes) % 10 == 0:
            print(f"seed {seed}: {trials.kill_count} kills, {len(outcomes)} incidents", flush=True)
    return outcomes


async def _at_once(url: str, asked: argparse.Namespace) -> int:
    """How many incidents were not as promised, of copies that share the kills."""
    async with template(url, found(REPOSITORY / "services")) as prepared, AsyncExitStack() as stack:
        copies = [await stack.enter_async_context(prepared.copy()) for _ in range(asked.at_once)]
        share = -(-asked.kills // asked.at_once)
        results = await asyncio.gather(
            *(call_kills(copy, share, asked.seed + at) for at, copy in enumerate(copies))
        )
    outcomes = list(itertools.chain.from_iterable(results))
    broken = [one for one in outcomes if not one.is_as_promised]
    killed = len(outcomes) * KILLS_A_TRIAL
    print(f"{killed} kills, {len(outcomes)} incidents, {len(broken)} not as promised: {broken}")
    return len(broken)


def main() -> int:
    parser = argparse.ArgumentParser(prog="make call-kills ARGS=", description=__doc__)
    parser.add_argument("--kills", type=int, default=1000, help="of xcom, five an incident")
    parser.add_argument("--at-once", type=int, default=4, help="incidents beside each other")
    parser.add_argument("--seed", type=int, default=0, help="chooses moments and who answers")
    asked = parser.parse_args()
    home = Path(tempfile.mkdtemp(prefix="sonic-chaos-"))
    home.chmod(0o711)
    server = EmbeddedPostgres(home)
    server.start()
    try:
        return 1 if asyncio.run(_at_once(server.url, asked)) else 0
    finally:
        server.destroy()
        shutil.rmtree(home)


if __name__ == "__main__":
    raise SystemExit(main())
