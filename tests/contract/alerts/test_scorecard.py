"""The scorecard of what real servers judged, told, heard and saw end."""

from __future__ import annotations

import asyncpg
import pytest
from sonic.alerts.v1 import alerts_pb2 as pb
from sonic.positions.v1 import positions_pb2 as positions_pb
from sonic.xcom.v1 import xcom_pb2 as xcom_pb

from tests.contract.alerts.conftest import Servers
from tests.fakes.mail import FakeMailServer

DISTANCE = pb.ALERT_TYPE_LIQUIDATION_DISTANCE
# Entry 100, liquidation 80: 20.8 %, 3.6 % away.
CALM, NEAR = 101.0, 83.0
LIQUIDATED = 4


async def card(servers: Servers, **asked: int) -> pb.Scorecard:
    return await servers.scorecards.GetScorecard(pb.GetScorecardRequest(**asked))


async def liquidated(servers: Servers, id: str) -> None:
    """The venue says so: its positions are not those entered by hand."""
    owner = await asyncpg.connect(servers.databases.owner_url("positions"))
    await owner.execute("update feed set venue = 'jupiter'")
    await owner.execute("update position set status = $1 where id = $2", LIQUIDATED, id)
    await owner.execute("update service_state set membership_epoch = membership_epoch + 1")
    await owner.close()
    await servers.positions.EnrichPositions(positions_pb.EnrichPositionsRequest())
    for _ in range(2):
        servers.clock.advance(60)
        await servers.alerts.ClearStaleAlerts(pb.ClearStaleAlertsRequest())
        await servers.evaluate()


async def delivered(servers: Servers) -> None:
    """Every message of danger was accepted by its channel."""

    async def look() -> bool:
        return all(
            any(each.HasField("sent_time") for each in one.deliveries)
            for one in await servers.messages()
            if one.kind == xcom_pb.KIND_DANGER and not one.suppressed_reason
        )

    await servers.until(look)


@pytest.mark.slow
@pytest.mark.parametrize("is_mailed", [True, False], ids=["mail", "log"])
async def test_what_followed_two_alarms_and_who_was_told(
    not_started: Servers, is_mailed: bool
) -> None:
    servers, mail = not_started, FakeMailServer()
    await servers.stack.enter_async_context(mail)
    settings = {"smtp_server": mail.host, "smtp_port": mail.port}
    settings |= {"smtp_default_recipient": "ada@example.com"}
    await servers.start_positions()
    await servers.start_xcom(**settings if is_mailed else {})
    await servers.start_alerts()
    await servers.only(DISTANCE)
    doomed, saved = [await servers.hold(CALM, wallet=name) for name in ("doomed", "saved")]
    await servers.create()
    await servers.at(doomed, CALM, NEAR)
    await servers.at(saved, CALM, NEAR)
    await delivered(servers)
    first = await card(servers)
    assert {one.followed for one in first.incidents} == {pb.FOLLOWED_PENDING}
    assert (first.liquidation_count, first.incident_count) == (0, 2)
    # One adds collateral, which moves its liquidation price; the other one is liquidated.
    servers.clock.advance(600)
    topped = positions_pb.Position(id=saved, liquidation_price_usd=60.0, mark_price_usd=NEAR)
    await servers.positions.UpdatePosition(positions_pb.UpdatePositionRequest(position=topped))
    await servers.evaluate()
    await servers.at(saved, NEAR, NEAR)
    await liquidated(servers, doomed)
    await servers.messages()
    found = await card(servers)
    by_wallet = {one.wallet: one for one in found.incidents if one.begin_time.seconds}
    one, other = by_wallet["doomed"], by_wallet["saved"]
    assert (one.followed, one.level) == (pb.FOLLOWED_LIQUIDATED, pb.LEVEL_HIGH)
    assert (other.followed, other.asset) == (pb.FOLLOWED_ACTED, "SOL")
    for each in (one, other):
        # What the log took nobody has read.
        assert (each.telling == pb.TELLING_TOLD) == is_mailed
        assert each.HasField("told_after") == is_mailed
        assert each.told_after.ToTimedelta().total_seconds() >= 0
        assert each.lead.ToTimedelta().total_seconds() > 600
    (death,) = found.liquidations
    assert (death.position_id, death.level) == (doomed, pb.LEVEL_HIGH)
    assert (death.telling == pb.TELLING_TOLD) == is_mailed
    (rule,) = (each for each in found.rules if each.type == DISTANCE)
    assert (rule.high_count, rule.useful_count, rule.noise_count) == (2, 2, 0)
    assert (rule.precision, rule.recall, rule.preceded_count) == (1.0, 1.0, 1)
    assert not rule.only_noise
    # Without the notification service nobody knows who was told.
    await servers.stop("xcom")
    assert {one.telling for one in (await card(servers, days=7)).incidents} == {pb.TELLING_UNKNOWN}
