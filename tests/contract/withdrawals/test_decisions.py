"""Decisions as a history: listed, explained, watched, told to alerts, shown as metrics."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace

import httpx
import pytest
from prometheus_client import generate_latest
from sonic.withdrawals.v1 import withdrawals_pb2 as pb

from shared import metrics
from shared.errors import Conflict, InvalidArgument, NotFound
from tests.contract.withdrawals.conftest import Bench, Open
from tests.contract.withdrawals.test_evaluations import supplied
from tests.contract.xcom.processes import free_port


async def until(true: Callable[[], bool], bench: Bench) -> None:
    """Pushes the clock until it is so; 60 seconds at most."""
    for _ in range(600):
        if true():
            return
        bench.clock.advance(1)
        await asyncio.sleep(0.1)
    raise AssertionError("it never came")


def exposed() -> dict[str, str]:
    """Series of decisions with their values."""
    lines = generate_latest(metrics.process().registry).decode().splitlines()
    return dict(line.rsplit(" ", 1) for line in lines if line.startswith("wo_"))  # type: ignore[misc]


async def test_decisions_are_listed_newest_first_in_pages(bench: Bench) -> None:
    await supplied(bench)
    made = []
    for closed in ("", "frozen", ""):
        bench.venue.listed = [replace(bench.venue.listed[0], closed=closed)]
        made.append(await bench.evaluate())
        bench.clock.advance(60)
    page = await bench.advisor.ListDecisions(pb.ListDecisionsRequest(page_size=2))
    rest = await bench.advisor.ListDecisions(
        pb.ListDecisionsRequest(page_size=2, page_token=page.next_page_token)
    )
    assert [*page.decisions, *rest.decisions] == made[::-1]
    held = pb.ListDecisionsRequest(asset="djed", value=pb.DECISION_VALUE_HOLD)
    assert [one.id for one in (await bench.advisor.ListDecisions(held)).decisions] == [made[1].id]


async def test_the_same_decision_again_is_one_with_the_figures_of_the_last_time(
    bench: Bench,
) -> None:
    await supplied(bench)
    first = await bench.evaluate()
    bench.prices.usd["djed"] = 0.9987
    bench.clock.advance(60)
    again = await bench.evaluate()
    assert (again.id, again.since_time) == (first.id, first.evaluated_time)
    assert again.evaluated_time.ToSeconds() == first.evaluated_time.ToSeconds() + 60
    assert again.fresh_until_time.ToSeconds() == again.evaluated_time.ToSeconds() + 3 * 3600
    assert {quote.price_usd for quote in again.prices.quotes} >= {0.9987}
    (listed,) = (await bench.advisor.ListDecisions(pb.ListDecisionsRequest())).decisions
    assert listed == again
    # It lasted from its first time to its last one.
    before = pb.ListDecisionsRequest(end_time=again.evaluated_time)
    assert list((await bench.advisor.ListDecisions(before)).decisions) == [again]
    bench.venue.listed = [replace(bench.venue.listed[0], closed="frozen")]
    other = await bench.evaluate()
    assert (other.id != first.id, other.since_time) == (True, other.evaluated_time)


async def test_a_decision_that_was_not_judged_for_long_is_explained_as_stale(bench: Bench) -> None:
    await supplied(bench)
    made = await bench.evaluate()
    bench.clock.advance(3 * 3600)
    ask = pb.ExplainDecisionRequest(id=made.id)
    assert "STALE" not in "\n".join((await bench.advisor.ExplainDecision(ask)).lines)
    bench.clock.advance(1)
    lines = (await bench.advisor.ExplainDecision(ask)).lines
    assert lines[1] == (
        "STALE: last judged at 2026-11-21 04:00:00Z; judge again before following it"
    )


async def test_a_decision_is_explained_with_its_numbers_and_what_to_do(bench: Bench) -> None:
    await supplied(bench)
    made = await bench.evaluate()
    told = await bench.advisor.ExplainDecision(pb.ExplainDecisionRequest(id=made.id))
    assert told.decision == made
    text = "\n".join(told.lines)
    assert made.summary in text
    assert "gains count from 2026-11-18" in text
    assert "limited by gain" in text
    assert "price of liqwid: 0.999 USD" in text
    assert told.actions == [
        "FLOWS_INCOMPLETE: run a synchronisation; import what the venue does not tell"
    ]


async def test_a_decision_that_is_not_there_is_not_found(bench: Bench) -> None:
    for id in ("decision-9", "flow-1", "x", "decision-99999999999999999999"):
        with pytest.raises(NotFound) as missing:
            await bench.advisor.GetDecision(pb.GetDecisionRequest(id=id))
        assert missing.value.reason == "ROW_NOT_FOUND"


async def test_watchers_see_the_present_then_what_another_process_decides(
    open_bench: Open,
) -> None:
    bench = await open_bench()
    await supplied(bench)
    first = await bench.evaluate()
    news = aiter(bench.advisor.WatchDecisions(pb.WatchDecisionsRequest()))
    assert list((await anext(news)).decisions) == [first]
    other = await open_bench()
    bench.clock.advance(60)
    # The same is heard of too: what is shown has the time of the last judgement.
    second = await other.evaluate()
    assert second.id == first.id
    heard = asyncio.ensure_future(anext(news))
    await until(heard.done, bench)
    assert list((await heard).decisions) == [second]


async def test_alerts_hear_of_a_change_and_of_nothing_else(bench: Bench) -> None:
    await supplied(bench)
    await bench.evaluate()
    bench.clock.advance(60)
    await bench.evaluate()
    bench.venue.listed = [replace(bench.venue.listed[0], closed="frozen")]
    bench.clock.advance(60)
    frozen = await bench.evaluate()
    await until(lambda: len(bench.alerts.news) == 2, bench)
    first, second = bench.alerts.news
    assert (first.record.value, first.previous_value) == (1, None)
    assert (second.record.id, second.record.value, second.previous_value) == (frozen.id, 0, 1)
    assert first.request_id != second.request_id


async def test_alerts_that_are_down_hear_later_with_the_same_id(bench: Bench) -> None:
    await supplied(bench)
    bench.alerts.down = True
    made = await bench.evaluate()
    for _ in range(5):
        bench.clock.advance(3)
        await asyncio.sleep(0.05)
    assert not bench.alerts.news
    bench.alerts.down = False
    await until(lambda: len(bench.alerts.news) == 1, bench)
    assert bench.alerts.news[0].request_id == f"withdrawals-{made.id}"


async def test_news_that_alerts_refuse_is_told_of_until_it_is_taken(bench: Bench) -> None:
    await supplied(bench)
    ask = pb.GetNewsStateRequest()
    assert not (await bench.advisor.GetNewsState(ask)).refused
    bench.alerts.refusal = InvalidArgument("INVALID_FIELD", "summary: too long")
    await bench.evaluate()
    await until(lambda: bench.alerts.tries > 0, bench)
    for _ in range(300):
        refused = (await bench.advisor.GetNewsState(ask)).refused
        if refused:
            break
        await asyncio.sleep(0.1)
    assert [(one.asset, one.refusal) for one in refused] == [("djed", "INVALID_FIELD")]
    bench.alerts.refusal = None
    await until(lambda: len(bench.alerts.news) == 1, bench)
    for _ in range(300):
        if not (await bench.advisor.GetNewsState(ask)).refused:
            return
        await asyncio.sleep(0.1)
    raise AssertionError("it was taken, and is still said to be refused")


async def test_news_that_a_later_decision_overtook_is_left(bench: Bench) -> None:
    await supplied(bench)
    bench.alerts.refusal = Conflict("STALE_EPOCH", "older than the last one")
    await bench.evaluate()
    await until(lambda: bench.alerts.tries > 0, bench)
    for _ in range(40):
        bench.clock.advance(60)
        await asyncio.sleep(0.05)
    assert bench.alerts.tries == 1
    assert not (await bench.advisor.GetNewsState(pb.GetNewsStateRequest())).refused


async def test_each_decision_told_has_a_higher_epoch_also_in_the_same_row(bench: Bench) -> None:
    await supplied(bench)
    first = await bench.evaluate()
    await until(lambda: len(bench.alerts.news) == 1, bench)
    assert abs(bench.alerts.news[0].record.revision / 1000 - time.time()) < 3600
    assert (await bench.evaluate()).id == first.id
    bench.venue.listed = [replace(bench.venue.listed[0], closed="frozen")]
    await bench.evaluate()
    await until(lambda: len(bench.alerts.news) == 2, bench)
    assert bench.alerts.news[1].record.revision >= bench.alerts.news[0].record.revision + 2


@pytest.mark.slow
async def test_every_series_is_shown_and_one_without_a_value_goes(bench: Bench) -> None:
    await supplied(bench)
    await bench.evaluate()
    labels = 'alternate_asset_name="",asset="djed",ref_mode="event"'
    shown = exposed()
    assert shown[f"wo_decision{{{labels}}}"] == "1.0"
    assert shown[f'wo_price_usd{{{labels},source="minswap"}}'] == "0.9985"
    for name in (
        *("wmax_usd", "g_usd", "v_ref_usd", "v_t1_usd", "t0_timestamp_seconds"),
        *("t1_timestamp_seconds", "residual_usd", "sigma_usd", "k_sigma", "residual_trigger"),
        *("price_delta_abs", "price_delta_rel", "price_mismatch", "price_compare_unavailable"),
        "last_eval_timestamp_seconds",
    ):
        assert f"wo_{name}{{{labels}}}" in shown
    assert "addr1" not in str(shown) and "main" not in str(shown)
    del bench.prices.usd["djed"]
    bench.clock.advance(60)
    await bench.evaluate()
    shown = exposed()
    assert f'wo_price_usd{{{labels},source="minswap"}}' not in shown
    assert f"wo_price_delta_abs{{{labels}}}" not in shown
    assert shown[f"wo_price_compare_unavailable{{{labels}}}"] == "1.0"
    # Of an asset that is watched no more nothing is shown.
    await bench.assets.DeleteAsset(pb.DeleteAssetRequest(name="djed"))
    await bench.advisor.Evaluate(pb.EvaluateRequest())
    assert not [name for name in exposed() if 'asset="djed"' in name and 'mode="event"' in name]


async def test_the_schedule_evaluates_by_itself(bench: Bench) -> None:
    await supplied(bench)
    schedule = pb.Schedule()
    schedule.interval.FromSeconds(600)
    request = pb.UpdateScheduleRequest(schedule=schedule)
    set_ = await bench.advisor.UpdateSchedule(request)
    assert set_.next_time.ToSeconds() == int(bench.clock.now().timestamp()) + 600

    async def judged() -> set[int]:
        listed = await bench.advisor.ListDecisions(pb.ListDecisionsRequest())
        return {one.evaluated_time.ToSeconds() for one in listed.decisions}

    times: set[int] = set()
    for _ in range(600):
        bench.clock.advance(30)
        await asyncio.sleep(0.05)
        times |= await judged()
        if len(times) >= 2:
            break
    assert len(times) >= 2
    schedule.interval.FromSeconds(5)
    with pytest.raises(InvalidArgument) as refused:
        await bench.advisor.UpdateSchedule(pb.UpdateScheduleRequest(schedule=schedule))
    assert refused.value.reason == "INVALID_FIELD"


async def test_what_is_cleared_is_gone_and_settings_stay(bench: Bench) -> None:
    await supplied(bench)
    await bench.evaluate()
    with pytest.raises(InvalidArgument) as refused:
        await bench.advisor.ClearData(pb.ClearDataRequest(confirm="yes"))
    assert refused.value.reason == "NOT_CONFIRMED"
    answer = await bench.advisor.ClearData(pb.ClearDataRequest(confirm="withdrawals"))
    assert answer.deleted_count > 60
    (over,) = (await bench.advisor.ListDecisions(pb.ListDecisionsRequest())).decisions
    assert over.summary.endswith("[reason: its data were deleted]")
    assert (await bench.assets.ListAssets(pb.ListAssetsRequest())).assets


@pytest.mark.slow
async def test_series_of_this_service_have_an_address_of_their_own(open_bench: Open) -> None:
    address = f"127.0.0.1:{free_port()}"
    bench = await open_bench(metrics_address="", withdrawals_metrics_address=address)
    await supplied(bench)
    await bench.evaluate()
    async with httpx.AsyncClient() as client:
        shown = await client.get(f"http://{address}/metrics")
    assert 'wo_decision{alternate_asset_name="",asset="djed"' in shown.text


@pytest.mark.skipif(
    shutil.which("promtool") is None, reason="NOT RUN: promtool is not installed here"
)
async def test_promtool_takes_every_series(bench: Bench) -> None:
    await supplied(bench)
    await bench.evaluate()
    checked = await asyncio.to_thread(
        subprocess.run,
        ["promtool", "check", "metrics"],
        input=generate_latest(),
        capture_output=True,
        check=False,
    )
    said = (checked.stdout + checked.stderr).decode()
    # 3: it is readable, and a name of any metric of the process is not to promtool's taste.
    assert checked.returncode in (0, 3), said
    assert not [line for line in said.splitlines() if line.startswith("wo_")], said
