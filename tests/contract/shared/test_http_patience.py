"""How long ProviderHttp asks, waits, gives up and comes back; the clock is pushed, sockets are
real.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.clock import PushedClock, SystemClock
from shared.http import Answer, FailureKind, ProviderFailure, ProviderHttp, asking
from tests.fakes.http_provider import HttpProvider
from tests.fakes.naps import Naps

START_TIME = datetime(2026, 1, 1, tzinfo=UTC)
OPEN_SECONDS = 30.0


@pytest.fixture
async def provider() -> AsyncIterator[HttpProvider]:
    async with HttpProvider() as running:
        yield running


@pytest.fixture
def clock() -> PushedClock:
    return PushedClock(START_TIME)


@pytest.fixture
async def http(provider: HttpProvider, clock: PushedClock) -> AsyncIterator[ProviderHttp]:
    client = asker(provider, clock)
    yield client
    await client.stop()


def asker(
    provider: HttpProvider, clock: PushedClock | SystemClock, **settings: Any
) -> ProviderHttp:
    return ProviderHttp("shop", provider.url, clock=clock, **({"retries": 0} | settings))


async def failure_of(http: ProviderHttp) -> ProviderFailure:
    with pytest.raises(ProviderFailure) as caught:
        await http.get_json("/x")
    return caught.value


async def pushed(clock: PushedClock, asked: asyncio.Task[Answer], seconds: float = 2.0) -> None:
    """Lets a call run, moving the clock on whenever it waits."""
    while not asked.done():
        await asyncio.sleep(0.005)
        if clock.sleeping_count:
            clock.advance(seconds)


@pytest.mark.parametrize("fault", ["silent", "hang", "drip"])
async def test_a_call_is_bounded_whatever_the_provider_does(
    provider: HttpProvider, fault: str
) -> None:
    http = asker(provider, SystemClock(), timeout_seconds=0.3, retries=2)
    provider.answer("GET /x", json={"a": "b" * 100}, **{fault: True})
    async with Naps() as naps:
        failure = await failure_of(http)
    await http.stop()
    assert failure.kind is FailureKind.TIMEOUT
    assert naps.seconds < 0.6


async def test_the_bound_holds_over_all_tries_together(provider: HttpProvider) -> None:
    http = asker(provider, SystemClock(), timeout_seconds=0.5, retries=50)
    provider.answer("GET /x", status=500, delay=0.05)
    async with Naps() as naps:
        failure = await failure_of(http)
    await http.stop()
    # The last try may have been cut off.
    assert failure.kind in {FailureKind.SERVER_ERROR, FailureKind.TIMEOUT}
    assert naps.seconds < 0.8


async def test_a_host_that_is_not_there_is_a_connect_failure(provider: HttpProvider) -> None:
    await provider.stop()
    http = asker(provider, SystemClock())
    failure = await failure_of(http)
    await http.stop()
    assert failure.kind is FailureKind.CONNECT


async def test_a_connection_closed_without_a_word_is_a_connect_failure(
    provider: HttpProvider, http: ProviderHttp
) -> None:
    provider.answer("GET /x", close=True)
    assert (await failure_of(http)).kind is FailureKind.CONNECT


async def test_a_server_error_is_tried_again_after_a_pause(
    provider: HttpProvider, clock: PushedClock
) -> None:
    http = asker(provider, clock, retries=2)
    provider.answer("GET /x", status=502, times=1)
    provider.answer("GET /x", close=True, times=1)
    provider.answer("GET /x", json={"good": True})
    asked = asyncio.ensure_future(http.get_json("/x"))
    await pushed(clock, asked)
    await http.stop()
    assert (await asked).body == {"good": True}
    assert clock.monotonic() == 4.0


async def test_retries_end_and_the_last_failure_is_told(
    provider: HttpProvider, clock: PushedClock
) -> None:
    http = asker(provider, clock, retries=2)
    provider.answer("GET /x", status=503)
    asked = asyncio.ensure_future(http.get_json("/x"))
    await pushed(clock, asked)
    await http.stop()
    failure = asked.exception()
    assert isinstance(failure, ProviderFailure)
    assert (failure.kind, len(provider.requests)) == (FailureKind.SERVER_ERROR, 3)


async def test_a_wait_longer_than_the_call_is_not_begun(
    provider: HttpProvider, clock: PushedClock
) -> None:
    http = asker(provider, clock, retries=2)
    provider.answer("GET /x", status=503, headers={"retry-after": "120"})
    failure = await failure_of(http)
    await http.stop()
    assert (failure.retry_after, len(provider.requests)) == (timedelta(seconds=120), 1)


@pytest.mark.parametrize("status", [400, 404, 410])
async def test_a_plain_no_is_not_asked_again_and_opens_no_circuit(
    provider: HttpProvider, clock: PushedClock, status: int
) -> None:
    http = asker(provider, clock, retries=2)
    provider.answer("GET /x", status=status)
    for _ in range(8):
        assert (await failure_of(http)).status == status
    await http.stop()
    assert len(provider.requests) == 8


@pytest.mark.parametrize(
    ("rule", "headers", "seconds"),
    [
        ("seconds", {"retry-after": "7"}, 7),
        ("seconds", {"retry-after": "Thu, 01 Jan 2026 00:00:20 GMT"}, 20),
        ("seconds", {"retry-after": "soon"}, 60),
        ("seconds", {"retry-after": "inf"}, 60),
        ("seconds", {"retry-after": "-5"}, 1),
        ("seconds", {"retry-after": "999999999"}, 900),
        ("seconds", {}, 60),
        ("milliseconds", {"retry-after": "2500"}, 2.5),
        ("x-ratelimit-reset", {"x-ratelimit-reset": str(int(START_TIME.timestamp()) + 12)}, 12),
        ("x-ratelimit-reset", {"x-ratelimit-reset": str(int(START_TIME.timestamp()) - 12)}, 1),
        ("x-ratelimit-reset", {"retry-after": "9"}, 9),
    ],
)
async def test_a_rate_limit_is_kept_in_the_words_of_the_provider(
    provider: HttpProvider, clock: PushedClock, rule: str, headers: dict[str, str], seconds: float
) -> None:
    http = asker(provider, clock, retries=2, retry_after=rule)
    provider.answer("GET /x", status=429, headers=headers, times=1)
    provider.answer("GET /x", json={})
    assert (await failure_of(http)).retry_after == timedelta(seconds=seconds)
    clock.advance(seconds - 0.5)
    remembered = await failure_of(http)
    assert (remembered.kind, remembered.status, len(provider.requests)) == (
        FailureKind.RATE_LIMITED,
        429,
        1,
    )
    assert remembered.retry_after == timedelta(seconds=0.5)
    clock.advance(0.5)
    await http.get_json("/x")
    await http.stop()


async def test_a_ban_is_sat_out(
    provider: HttpProvider, clock: PushedClock, http: ProviderHttp
) -> None:
    provider.answer("GET /x", status=418, headers={"retry-after": "7200"})
    await failure_of(http)
    clock.advance(899.0)
    assert (await failure_of(http)).kind is FailureKind.BANNED
    assert len(provider.requests) == 1
    clock.advance(1.0)
    await failure_of(http)
    assert len(provider.requests) == 2, "no wait is longer than 15 minutes"


@pytest.mark.parametrize("status", [401, 403, 451])
async def test_a_refusal_is_asked_again_after_one_five_and_then_every_15_minutes(
    provider: HttpProvider, clock: PushedClock, http: ProviderHttp, status: int
) -> None:
    provider.answer("GET /x", status=status)
    for asked_count, wait_seconds in enumerate((60.0, 300.0, 900.0, 900.0), 1):
        failure = await failure_of(http)
        assert (failure.kind, failure.retry_after) == (
            FailureKind.REFUSED,
            timedelta(seconds=wait_seconds),
        )
        assert f"for {wait_seconds:.0f} s" in failure.message
        clock.advance(wait_seconds - 1.0)
        remembered = await failure_of(http)
        assert (remembered.kind, remembered.status) == (FailureKind.REFUSED, status)
        assert len(provider.requests) == asked_count
        clock.advance(1.0)


async def test_what_is_refused_to_one_is_asked_for_the_others(
    provider: HttpProvider, clock: PushedClock, http: ProviderHttp
) -> None:
    provider.answer("GET /x", json={})
    provider.answer("GET /x", status=403, where={"who": "a"})
    with asking(subject="a"):
        with pytest.raises(
            ProviderFailure, match="HTTP 403; it is not asked for this one for 60 s"
        ):
            await http.get_json("/x", {"who": "a"})
        with pytest.raises(
            ProviderFailure, match=r"refused this one .HTTP 403. and is asked again in 60 s"
        ):
            await http.get_json("/x", {"who": "a"})
    for other in ("b", "c", ""):
        with asking(subject=other):
            await http.get_json("/x", {"who": other})
    assert len(provider.requests) == 4
    provider.answer("GET /x", json={}, where={"who": "a"})
    clock.advance(60.0)
    with asking(subject="a"):
        await http.get_json("/x", {"who": "a"})


async def test_a_limit_is_everybodys_whoever_met_it(
    provider: HttpProvider, http: ProviderHttp
) -> None:
    provider.answer("GET /x", status=429, headers={"retry-after": "40"})
    with (
        asking(subject="a"),
        pytest.raises(ProviderFailure, match="not asked for anybody for 40 s"),
    ):
        await http.get_json("/x")
    with asking(subject="b"), pytest.raises(ProviderFailure, match="not asked for another 40 s"):
        await http.get_json("/x")
    assert len(provider.requests) == 1


@pytest.mark.parametrize("status", [429, 418, 403, 500])
@pytest.mark.parametrize("subject", ["", "a"])
async def test_a_forced_ask_passes_a_wait_once_and_what_it_finds_holds_for_all(
    provider: HttpProvider, http: ProviderHttp, status: int, subject: str
) -> None:
    provider.answer("GET /x", status=status)
    with asking(subject=subject):
        for _ in range(5):
            await failure_of(http)
        asked_count = len(provider.requests)
        with asking(forced=True):
            results = await asyncio.gather(
                *(http.get_json("/x") for _ in range(4)), return_exceptions=True
            )
        assert all(isinstance(result, ProviderFailure) for result in results)
        assert len(provider.requests) == asked_count + 1, "the others take what the first one found"
        await failure_of(http)
        assert len(provider.requests) == asked_count + 1, (
            "the wait goes on for those that are not forced"
        )
        provider.answer("GET /x", json={})
        with asking(forced=True):
            await asyncio.gather(*(http.get_json("/x") for _ in range(4)))
        await http.get_json("/x")


@pytest.mark.parametrize("fault", [{"status": 500}, {"close": True}, {"text": "<html>"}])
async def test_five_failures_in_a_row_open_the_circuit(
    provider: HttpProvider, http: ProviderHttp, fault: dict[str, Any]
) -> None:
    provider.answer("GET /x", **fault)
    for _ in range(5):
        assert (await failure_of(http)).kind is not FailureKind.CIRCUIT_OPEN
    failure = await failure_of(http)
    assert (failure.kind, len(provider.requests)) == (FailureKind.CIRCUIT_OPEN, 5)
    assert failure.retry_after == timedelta(seconds=OPEN_SECONDS)


async def test_one_success_forgets_the_failures_before_it(
    provider: HttpProvider, http: ProviderHttp
) -> None:
    provider.answer("GET /x", status=500, times=4)
    provider.answer("GET /x", json={}, times=1)
    provider.answer("GET /x", status=500)
    for _ in range(4):
        await failure_of(http)
    await http.get_json("/x")
    for _ in range(5):
        assert (await failure_of(http)).kind is FailureKind.SERVER_ERROR


async def test_a_call_that_was_tried_often_is_one_failure_of_the_circuit(
    provider: HttpProvider, clock: PushedClock
) -> None:
    http = asker(provider, clock, retries=5)
    provider.answer("GET /x", status=500, times=6)
    provider.answer("GET /x", json={"ok": True})
    asked = asyncio.ensure_future(http.get_json("/x"))
    await pushed(clock, asked)
    assert isinstance(asked.exception(), ProviderFailure)
    answer = await http.get_json("/x")
    await http.stop()
    assert answer.body == {"ok": True}
    assert len(provider.requests) == 7


async def opened(provider: HttpProvider, http: ProviderHttp, clock: PushedClock) -> None:
    provider.answer("GET /x", status=500, times=5)
    for _ in range(5):
        await failure_of(http)
    clock.advance(OPEN_SECONDS)


async def test_one_probe_goes_through_while_the_others_wait_outside(
    provider: HttpProvider, http: ProviderHttp, clock: PushedClock
) -> None:
    await opened(provider, http, clock)
    provider.answer("GET /x", json={}, delay=0.1)
    results = await asyncio.gather(*(http.get_json("/x") for _ in range(4)), return_exceptions=True)
    assert sum(isinstance(result, Answer) for result in results) == 1
    assert len(provider.requests) == 6
    await http.get_json("/x")


async def test_a_failed_probe_opens_the_circuit_again(
    provider: HttpProvider, http: ProviderHttp, clock: PushedClock
) -> None:
    await opened(provider, http, clock)
    provider.answer("GET /x", status=500)
    assert (await failure_of(http)).kind is FailureKind.SERVER_ERROR
    assert (await failure_of(http)).kind is FailureKind.CIRCUIT_OPEN
    assert len(provider.requests) == 6


async def test_a_cancelled_probe_leaves_room_for_the_next(
    provider: HttpProvider, http: ProviderHttp, clock: PushedClock
) -> None:
    await opened(provider, http, clock)
    provider.answer("GET /x", silent=True, times=1)
    provider.answer("GET /x", json={})
    probe = asyncio.ensure_future(http.get_json("/x"))
    while len(provider.requests) < 6:
        await asyncio.sleep(0.005)
    probe.cancel()
    await asyncio.gather(probe, return_exceptions=True)
    await http.get_json("/x")


async def test_the_pace_is_kept_and_its_wait_is_no_timeout(provider: HttpProvider) -> None:
    http = asker(provider, SystemClock(), per_second=1.0, timeout_seconds=2.0)
    provider.answer("GET /x", json={})
    started_seconds = time.monotonic()
    await asyncio.gather(*(http.get_json("/x") for _ in range(4)))
    await http.stop()
    assert time.monotonic() - started_seconds >= 2.9


async def test_a_broken_answer_for_one_leaves_the_others_alone(
    provider: HttpProvider, http: ProviderHttp
) -> None:
    provider.answer("GET /x", json={"who": "all"})
    provider.answer("GET /x", where={"who": "b"}, text="<html>")
    asked = [http.get_json("/x", {"who": who}) for who in "abc"]
    first, broken, last = await asyncio.gather(*asked, return_exceptions=True)
    assert isinstance(broken, ProviderFailure)
    assert isinstance(first, Answer)
    assert isinstance(last, Answer)


async def test_a_part_that_fails_keeps_no_other_from_being_asked(
    provider: HttpProvider, http: ProviderHttp, clock: PushedClock
) -> None:
    provider.answer("GET /x", status=500, times=5)
    provider.answer("GET /x", json={})
    with asking(part="bad"):
        for _ in range(5):
            assert (await failure_of(http)).kind is FailureKind.SERVER_ERROR
        assert (await failure_of(http)).kind is FailureKind.CIRCUIT_OPEN
    await http.get_json("/x")
    with asking(part="good"):
        await http.get_json("/x")
    with asking(part="bad"):
        assert (await failure_of(http)).kind is FailureKind.CIRCUIT_OPEN
        with asking(forced=True):
            await http.get_json("/x")
        await http.get_json("/x")


async def test_a_limit_that_one_part_meets_is_the_limit_of_all(
    provider: HttpProvider, http: ProviderHttp, clock: PushedClock
) -> None:
    provider.answer("GET /x", status=429, json={}, times=1)
    provider.answer("GET /x", json={})
    with asking(part="one"):
        await failure_of(http)
    for part in ("", "one", "other"):
        with asking(part=part):
            assert (await failure_of(http)).kind is FailureKind.RATE_LIMITED
    with asking(part="other", forced=True):
        await http.get_json("/x")
    await http.get_json("/x")
    assert len(provider.requests) == 3


async def test_a_limit_of_one_part_is_that_of_all_also_while_failures_shut_the_whole(
    provider: HttpProvider, http: ProviderHttp, clock: PushedClock
) -> None:
    await opened(provider, http, clock)
    provider.answer("GET /x", status=500, times=1)
    await failure_of(http)
    provider.answer("GET /x", status=429, json={}, headers={"Retry-After": "10"}, times=1)
    with asking(part="one"):
        await failure_of(http)
    for part in ("one", "other"):
        with asking(part=part):
            assert (await failure_of(http)).kind is FailureKind.RATE_LIMITED
    assert (await failure_of(http)).kind is FailureKind.CIRCUIT_OPEN
    clock.advance(10.5)
    provider.answer("GET /x", json={})
    with asking(part="other"):
        await http.get_json("/x")


async def test_failures_of_the_whole_stop_no_part(
    provider: HttpProvider, http: ProviderHttp, clock: PushedClock
) -> None:
    await opened(provider, http, clock)
    provider.answer("GET /x", status=500, times=1)
    await failure_of(http)
    provider.answer("GET /x", json={})
    assert (await failure_of(http)).kind is FailureKind.CIRCUIT_OPEN
    with asking(part="one"):
        await http.get_json("/x")
