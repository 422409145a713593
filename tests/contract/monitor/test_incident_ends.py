"""The end of a monitor's incident: it stops the chain of contacts and goes to exactly those who
heard.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from sonic.monitor.v1 import monitor_pb2 as pb
from sonic.xcom.v1 import xcom_pb2, xcom_pb2_grpc

from tests.contract.monitor.conftest import QUIET, Servers, cycle, until
from tests.fakes.mail import FakeMailServer
from tests.fakes.webhook import FakeWebhook

CONTACT = "jane@example.org"


@pytest.fixture
async def hook() -> AsyncIterator[FakeWebhook]:
    async with FakeWebhook() as server:
        yield server


@pytest.fixture
async def mail() -> AsyncIterator[FakeMailServer]:
    async with FakeMailServer() as server:
        yield server


def only(name: str) -> dict[str, object]:
    return {key: value for key, value in QUIET.items() if key != f"{name}_mon_enabled"}


async def start(servers: Servers, hook: FakeWebhook, mail: FakeMailServer) -> None:
    """Peers whose xcom has a webhook for everything, and one contact by mail after a minute."""
    price = await servers.start("price")
    await servers.start("positions", price_address=price.address)
    await servers.start(
        "xcom",
        webhook_url=hook.url,
        webhook_secret="hook-secret-3f9a",
        xcom_high_channels=("webhook",),
        smtp_server=mail.host,
        smtp_port=mail.port,
        smtp_default_recipient="owner@example.org",
    )
    route = xcom_pb2.ContactRoute(channel="email", address=CONTACT)
    jane = xcom_pb2.Contact(name="jane", wait=Duration(seconds=60), routes=[route])
    joe = xcom_pb2.Contact(name="joe", wait=Duration(seconds=3600), routes=[route])
    chain = xcom_pb2.EscalationChain(contacts=[jane, joe])
    stub = await servers.stub("xcom", xcom_pb2_grpc.EscalationServiceStub)
    await stub.UpdateEscalationChain(xcom_pb2.UpdateEscalationChainRequest(escalation_chain=chain))


def _holds(look: Callable[[], object]) -> Callable[[], Awaitable[object]]:
    async def holds() -> object:
        return look()

    return holds


async def _breach(servers: Servers, stub: object, name: str) -> None:
    """The silence of cyclone, or a dead service, begins."""
    if name == "heartbeat":
        await cycle(stub)
    else:
        await servers.apps["positions"].stop()


async def _heal(servers: Servers, stub: object, name: str) -> None:
    if name == "heartbeat":
        await cycle(stub, 2)
        return
    # On the port it had: monitor finds it where it was.
    await servers.start(
        "positions",
        listen_address=servers.apps["positions"].address,
        price_address=servers.apps["price"].address,
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", ["heartbeat", "operations"])
async def test_a_recovery_stops_the_chain_and_reaches_everybody_who_heard(
    servers: Servers, hook: FakeWebhook, mail: FakeMailServer, name: str
) -> None:
    await start(servers, hook, mail)
    stub = await servers.monitor(**only(name))
    await _breach(servers, stub, name)
    await servers.push(_holds(lambda: mail.mails))
    assert [one.recipients for one in mail.mails] == [[CONTACT]]
    assert len(hook.received) == 1
    # Another process of monitor ends what this one began.
    await servers.apps["monitor"].stop()
    stub = await servers.monitor(**only(name))
    await _heal(servers, stub, name)
    await servers.push(_holds(lambda: len(hook.received) == 2 and len(mail.mails) == 2))
    begin, end = await servers.messages()
    assert begin.level == xcom_pb2.LEVEL_HIGH
    assert begin.incident_key == end.incident_key != ""
    assert (end.ends_incident, end.channels_reason) == (True, "WHO_HEARD")
    assert sorted((one.channel, one.contact) for one in end.deliveries) == [
        ("email", "jane"),
        ("webhook", ""),
    ]
    assert not begin.HasField("escalation_due_time")


async def test_who_joins_an_incident_belongs_to_it(
    servers: Servers, hook: FakeWebhook, mail: FakeMailServer
) -> None:
    await start(servers, hook, mail)
    stub = await servers.monitor(**QUIET)
    for number, stale in enumerate((["SPX"], ["SPX", "BTC"], [])):
        prices = [
            pb.PriceReading(asset=asset, quality="STALE" if asset in stale else "GOOD")
            for asset in ("SPX", "BTC")
        ]
        await cycle(stub, number, prices=pb.PricesReading(prices=prices))
        await until(lambda: servers.value("select count(*) = 0 from outbox"))
    begin, joined, end = await servers.messages()
    assert begin.incident_key == end.incident_key != joined.incident_key
    assert [one.ends_incident for one in (begin, joined, end)] == [False, False, True]
    assert await servers.value("select count(*) from incident") == 0


def stale(*assets: str) -> dict[str, object]:
    prices = [
        pb.PriceReading(asset=asset, quality="STALE" if asset in assets else "GOOD")
        for asset in ("SPX", "BTC")
    ]
    return {"prices": pb.PricesReading(prices=prices)}


def wallets(*states: tuple[str, str, str], unwatched: Sequence[str] = ()) -> dict[str, object]:
    readings = [
        pb.WalletReading(name=n, state=state, reason=why, unwatched=unwatched)
        for n, state, why in states
    ]
    return {"holdings": pb.HoldingsReading(position_count=3, wallets=readings)}


XYZ, ABC = "not watched: dex xyz, 1,000 USD", "not watched: dex abc, 9,000 USD"
DANGERS = {
    "price": ("price", stale("SPX"), stale("SPX", "BTC"), stale(), "BTC stale"),
    "position": (
        "position",
        wallets(("main", "FAILED", "TIMEOUT")),
        wallets(("main", "FAILED", "TIMEOUT"), ("cold", "FAILED", "TIMEOUT")),
        wallets(("main", "COMPLETE", ""), ("cold", "COMPLETE", "")),
        "cold (TIMEOUT)",
    ),
    "account": (
        "position",
        wallets(("main", "PARTIAL", "NOT_WATCHED"), unwatched=[XYZ]),
        wallets(("main", "PARTIAL", "NOT_WATCHED"), unwatched=[XYZ, ABC]),
        wallets(("main", "COMPLETE", "")),
        f"main ({ABC})",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", DANGERS)
async def test_who_joins_what_somebody_acknowledged_wakes_the_next_contact_by_its_own_name(
    servers: Servers, hook: FakeWebhook, mail: FakeMailServer, kind: str
) -> None:
    name, first, both, well, named = DANGERS[kind]
    await start(servers, hook, mail)
    stub = await servers.monitor(**QUIET)
    setting = pb.Monitor(name=name, notification_level=pb.LEVEL_HIGH)
    mask = FieldMask(paths=["notification_level"])
    await stub.UpdateMonitor(pb.UpdateMonitorRequest(monitor=setting, update_mask=mask))
    await cycle(stub, 1, **first)
    await until(lambda: servers.value("select count(*) = 0 from outbox"), 30.0)
    (begin,) = await servers.messages()
    escalation = await servers.stub("xcom", xcom_pb2_grpc.EscalationServiceStub)
    await escalation.AckMessage(xcom_pb2.AckMessageRequest(id=begin.id, by="joe"))
    await cycle(stub, 2, **both)
    await servers.push(_holds(lambda: mail.mails))
    assert [one.recipients for one in mail.mails] == [[CONTACT]]
    begin, joined = await servers.messages()
    assert joined.subject == f"{name} monitor: now also {named}"
    assert joined.level == xcom_pb2.LEVEL_HIGH and not joined.HasField("acknowledged_time")
    assert begin.acknowledged_by == "joe"
    # Another process ends both, and both chains with it.
    await servers.apps["monitor"].stop()
    stub = await servers.monitor(**QUIET)
    await cycle(stub, 3, **well)
    await servers.push(_holds(lambda: len(mail.mails) == 2 and len(hook.received) == 3))
    *told, end = await servers.messages()
    assert (end.ends_incident, end.channels_reason) == (True, "WHO_HEARD")
    assert not any(one.HasField("escalation_due_time") for one in told)


@pytest.mark.slow
async def test_a_second_service_that_is_down_wakes_who_acknowledged_the_first(
    servers: Servers, hook: FakeWebhook, mail: FakeMailServer
) -> None:
    await start(servers, hook, mail)
    await servers.monitor(**only("operations"))

    async def count(wanted: int) -> bool:
        return len(await servers.messages()) == wanted

    await servers.apps["positions"].stop()
    await servers.push(lambda: count(1))
    (begin,) = await servers.messages()
    escalation = await servers.stub("xcom", xcom_pb2_grpc.EscalationServiceStub)
    await escalation.AckMessage(xcom_pb2.AckMessageRequest(id=begin.id, by="joe"))
    await servers.apps["price"].stop()
    await servers.push(lambda: count(2))
    assert not mail.mails
    await servers.push(_holds(lambda: mail.mails))
    _, joined = await servers.messages()
    assert joined.subject.startswith("operations monitor: now also price (")
    assert joined.HasField("escalation_due_time")


async def test_a_monitor_that_was_silenced_meanwhile_still_ends_what_was_told(
    servers: Servers, hook: FakeWebhook, mail: FakeMailServer
) -> None:
    await start(servers, hook, mail)
    stub = await servers.monitor(**QUIET)

    async def look(number: int, quality: str) -> None:
        prices = [pb.PriceReading(asset="SPX", quality=quality)]
        await cycle(stub, number, prices=pb.PricesReading(prices=prices))
        await until(lambda: servers.value("select count(*) = 0 from outbox"))

    async def tell_at(level: pb.Level.ValueType) -> None:
        setting = pb.Monitor(name="price", notification_level=level)
        await stub.UpdateMonitor(
            pb.UpdateMonitorRequest(
                monitor=setting, update_mask=FieldMask(paths=["notification_level"])
            )
        )

    await tell_at(pb.LEVEL_HIGH)
    await look(1, "STALE")
    await tell_at(pb.LEVEL_NORMAL)
    await look(2, "GOOD")
    begin, end = await servers.messages()
    assert end.ends_incident
    assert not begin.HasField("escalation_due_time")
    # What began silenced and ends audible is told to nobody.
    await look(3, "STALE")
    await tell_at(pb.LEVEL_HIGH)
    await look(4, "GOOD")
    assert len(await servers.messages()) == 2
