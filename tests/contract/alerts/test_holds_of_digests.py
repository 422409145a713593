"""What is said of many that were told as one counts for each of them up to its own level."""

from __future__ import annotations

import pytest
from sonic.alerts.v1 import alerts_pb2 as pb
from sonic.xcom.v1 import xcom_pb2 as xcom_pb

from tests.contract.alerts.conftest import Servers
from tests.contract.alerts.test_digests import MEDIUM_MARK, crash, digest, pushed_until

LOW_MARK = 95.0


@pytest.fixture
async def servers(not_started: Servers) -> Servers:
    await not_started.start_positions()
    await not_started.start_xcom()
    await not_started.start_alerts(alerts_burst_count=3)
    return not_started


@pytest.mark.parametrize("is_said_to_xcom", [False, True], ids=["here", "by-its-message"])
async def test_who_acknowledges_a_digest_hears_that_a_quieter_one_of_it_got_worse(
    servers: Servers, is_said_to_xcom: bool
) -> None:
    *_, quiet = await crash(servers, MEDIUM_MARK, MEDIUM_MARK, MEDIUM_MARK, LOW_MARK)
    message = await digest(servers)
    assert message.level == xcom_pb.LEVEL_MEDIUM

    async def held_levels() -> list[int]:
        found = (await servers.alerts.ListAlerts(pb.ListAlertsRequest())).alerts
        return sorted(one.held_level for one in found if one.HasField("held_until_time"))

    if is_said_to_xcom:
        await servers.escalation.AckMessage(xcom_pb.AckMessageRequest(id=message.id, by="jane"))

        async def is_heard() -> bool:
            return len(await held_levels()) == 4

        await pushed_until(servers, is_heard)
    else:
        id = message.facts["digest_id"]
        await servers.attention.AcknowledgeAlert(pb.AcknowledgeAlertRequest(id=id))
    assert await held_levels() == [pb.LEVEL_LOW, *[pb.LEVEL_MEDIUM] * 3]
    await servers.at(quiet, MEDIUM_MARK)
    worse = [one for one in await servers.messages() if one.id != message.id]
    assert [one.facts.get("position_id") for one in worse] == [quiet]
