"""What was stored without a bound once hides nothing: lists and exports go by bytes as well as by
rows.
"""

from __future__ import annotations

import json

import asyncpg
import pytest
from sonic.alerts.v1 import alerts_pb2 as pb

from shared.rpc.fit import PAGE_BYTES
from tests.contract.alerts.conftest import Servers

LONG = 6 * 1024 * 1024


async def _as_owner(servers: Servers, sql: str, *arguments: object) -> None:
    connection = await asyncpg.connect(servers.databases.owner_url("alerts"))
    try:
        await connection.execute(sql, *arguments)
    finally:
        await connection.close()


async def _pages(servers: Servers, page_size: int) -> list[pb.ListLedgerResponse]:
    pages: list[pb.ListLedgerResponse] = []
    token = ""
    while not pages or token:
        request = pb.ListLedgerRequest(page_size=page_size, page_token=token)
        pages.append(await servers.ledger.ListLedger(request))
        token = pages[-1].next_page_token
    return pages


async def _notes(servers: Servers, count: int) -> None:
    for number in range(count):
        death = pb.RaiseDeathRequest(incident=f"service:{number}", summary="does not answer")
        await servers.alerts.RaiseDeath(death)


async def test_a_page_stops_before_it_is_too_large_and_the_next_goes_on(
    without_xcom: Servers,
) -> None:
    await _notes(without_xcom, 8)
    before = [entry.sequence for page in await _pages(without_xcom, 500) for entry in page.entries]
    await _as_owner(
        without_xcom, "update ledger set inputs_json = to_json(repeat('x', 1000000))::text"
    )
    pages = await _pages(without_xcom, 500)
    assert [entry.sequence for page in pages for entry in page.entries] == before
    assert len(pages) > 2 and all(page.ByteSize() <= PAGE_BYTES for page in pages)


async def test_one_row_larger_than_a_message_is_cut_in_a_list_and_whole_in_the_export(
    without_xcom: Servers,
) -> None:
    await _notes(without_xcom, 3)
    sequence = "(select max(sequence) - 1 from ledger)"
    longer = (
        f"update ledger set inputs_json = to_json(repeat('x', {LONG}))::text where sequence ="
        f" {sequence}"
    )
    await _as_owner(without_xcom, longer)
    entries = [entry for page in await _pages(without_xcom, 500) for entry in page.entries]
    assert len(entries) == len({entry.sequence for entry in entries}) >= 3
    assert any("(cut)" in str(entry) for entry in entries)
    exported = [
        part.lines async for part in without_xcom.ledger.ExportLedger(pb.ExportLedgerRequest())
    ]
    rows = [json.loads(line) for line in "".join(exported).splitlines()]
    assert sorted(row["sequence"] for row in rows) == sorted(entry.sequence for entry in entries)
    assert max(map(len, exported)) <= 1024 * 1024


@pytest.mark.slow
@pytest.mark.parametrize("channel", ["x" * LONG, "y" * 65])
async def test_channels_that_none_can_be_named_hide_no_threshold(
    without_xcom: Servers, channel: str
) -> None:
    await _as_owner(
        without_xcom, "update threshold set high_channels = array[$1::text, 'email']", channel
    )
    listed = await without_xcom.thresholds.ListThresholds(pb.ListThresholdsRequest(page_size=500))
    assert listed.thresholds
    assert all(list(one.high_channels) == ["email"] for one in listed.thresholds)
    file = await without_xcom.thresholds.ExportThresholds(pb.ExportThresholdsRequest())
    assert channel not in file.json
