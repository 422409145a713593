"""What is the newest cycle when the clock was ahead and was set right since."""

from __future__ import annotations

from sonic.cyclone.v1 import cyclone_pb2 as pb

from tests.contract.cyclone.conftest import Servers


async def test_a_cycle_of_a_clock_that_was_ahead_is_last_and_not_the_newest(
    servers: Servers,
) -> None:
    stub = await servers.start()
    ids = [(await servers.run(stub, "NOTIFY")).id for _ in range(4)]
    ahead = "created_time + interval '5 hours'"
    for id in ids[:2]:
        await servers.rows(
            f"update cycle set created_time = {ahead}, started_time = {ahead},"
            f" ended_time = {ahead}, demo = true where id = $1 returning 1",
            id,
        )
    seen, token = [], ""
    for _ in ids:
        page = await stub.ListCycles(pb.ListCyclesRequest(page_size=1, page_token=token))
        token = page.next_page_token
        seen += [cycle.id for cycle in page.cycles]
    assert (seen, token) == ([ids[3], ids[2], ids[1], ids[0]], "")
    listed = await stub.ListCycles(pb.ListCyclesRequest(page_size=3))
    assert [cycle.id for cycle in listed.cycles] == [ids[3], ids[2], ids[1]]
    newest = await stub.GetReport(
        pb.GetReportRequest(cycle_id="latest", format=pb.REPORT_FORMAT_HTML)
    )
    assert newest.cycle_id == ids[3]


async def test_where_every_cycle_is_of_a_clock_that_was_ahead_the_last_one_is_the_newest(
    servers: Servers,
) -> None:
    stub = await servers.start()
    ids = [(await servers.run(stub, "NOTIFY")).id for _ in range(2)]
    ahead = "created_time + interval '5 hours'"
    await servers.rows(
        f"update cycle set created_time = {ahead}, started_time = {ahead} returning 1"
    )
    listed = await stub.ListCycles(pb.ListCyclesRequest())
    assert [cycle.id for cycle in listed.cycles] == ids[::-1]
    assert (
        await stub.GetReport(pb.GetReportRequest(cycle_id="latest", format=pb.REPORT_FORMAT_HTML))
    ).cycle_id == ids[1]
