"""Jupiter over real HTTP: what comes back for every answer its servers, and those before them, may
give.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from services.positions.domain.venue_answer import Answer, Chain, Flag, Side, WalletRef
from services.positions.venues import VENUES, Venue, VenueContext
from shared.clock import PushedClock
from shared.errors import InvalidArgument
from shared.http import FailureKind, ProviderFailure
from shared.lifecycle import App
from tests.fakes.http_provider import HttpProvider

FIXTURES = Path(__file__).parents[2] / "fixtures"
REFERENCE_TIME = datetime(2026, 11, 20, 23, 0, tzinfo=UTC)
ADDRESS = "HskfdWhZTfsEL2he8iqJmXmbHdj5vr5xBooRnUfQs5PY"
WALLET = WalletRef("main", Chain.SOLANA, ADDRESS)
PRICES = {"BTC": 97400.0, "ETH": 3380.0, "SOL": 182.0}
SOL_KEY = "Gpn2Fseno7cmtvP1jKJHbSasZJebxUuBadQG1uYiUfPz"
DAY_SECONDS = 86_400


class HastyClock(PushedClock):
    """Back-off takes no time: a sleeper pushes the clock itself."""

    async def sleep(self, seconds: float) -> None:
        self.advance(max(seconds, 0.0))
        await asyncio.sleep(0)


@dataclass(frozen=True)
class Reply:
    """One answer of the stand-in for perps-api."""

    body: bytes
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    truncate: bool = False


def script(stand: HttpProvider, version: str, reply: Reply) -> None:
    stand.answer(
        f"GET /{version}/positions",
        text=reply.body,
        status=reply.status,
        headers=reply.headers,
        truncate=reply.truncate,
    )


def paths(stand: HttpProvider) -> list[str]:
    return [asked.path for asked in stand.requests if asked.path.endswith("/positions")]


@pytest.fixture
async def stand() -> AsyncIterator[HttpProvider]:
    async with HttpProvider() as stand:
        yield stand


@asynccontextmanager
async def jupiter(
    stand: HttpProvider, clock: PushedClock, version: str = "v1"
) -> AsyncIterator[Venue]:
    settings = {"jupiter_api_base": stand.url + "/", "jupiter_api_version": version}
    built = VENUES["jupiter"](VenueContext(clock, settings))
    async with App("venue", built.parts):
        yield built.venue


Ask = Callable[..., Awaitable[Answer]]


@pytest.fixture
def ask(stand: HttpProvider) -> Ask:
    async def asked(reply: Reply, version: str = "v1") -> Answer:
        script(stand, version, reply)
        async with jupiter(stand, HastyClock(REFERENCE_TIME), version) as venue:
            return await venue.fetch(WALLET, PRICES, REFERENCE_TIME)

    return asked


def positions(version: str) -> Reply:
    return Reply((FIXTURES / f"jupiter_perps_positions_{version}.json").read_bytes())


def garbage(name: str) -> Reply:
    return Reply((FIXTURES / "garbage" / f"jupiter_{name}.json").read_bytes())


@pytest.mark.parametrize("version", ["v1", "v2"])
async def test_a_whole_answer_is_complete_and_observed_when_it_came(
    ask: Ask, stand: HttpProvider, version: str
) -> None:
    answer = await ask(positions(version), version)
    assert (answer.complete, answer.row_count, answer.refusals) == (True, 4, ())
    assert [(held.asset, held.side) for held in answer.holdings] == [
        ("BTC", Side.LONG),
        ("BTC", Side.SHORT),
        ("SOL", Side.LONG),
        ("ETH", Side.SHORT),
    ]
    assert answer.observed_time == REFERENCE_TIME
    expected = {"walletAddress": ADDRESS} | (
        {"showTpslRequests": "true"} if version == "v1" else {}
    )
    assert [asked.query for asked in stand.asked(f"GET /{version}/positions")] == [expected]


@pytest.mark.parametrize(
    ("name", "held", "refused", "incomplete"),
    [
        ("count_mismatch", 1, [], "COUNT_MISMATCH"),
        ("duplicate_position", 1, [], ""),
        ("future_timestamp", 0, [("FROM_FUTURE", "updatedTime")], "ROWS_REFUSED"),
        ("stale_timestamp", 1, [], ""),
        ("liq_wrong_side", 1, [], ""),
        ("liq_zero", 1, [], ""),
        ("micro_usd_in_v1", 0, [("MICRO_DOLLARS", "")], "MICRO_DOLLARS"),
        ("missing_side", 1, [], ""),
        ("unknown_mint", 1, [], ""),
        ("negative_collateral", 0, [("NEGATIVE", "collateral")], "ROWS_REFUSED"),
    ],
)
async def test_a_dangerous_body_gives(
    ask: Ask, name: str, held: int, refused: list[tuple[str, str]], incomplete: str
) -> None:
    answer = await ask(garbage(name))
    assert len(answer.holdings) == held
    assert [(refusal.reason, refusal.field) for refusal in answer.refusals] == refused
    assert (answer.complete, answer.incomplete_reason) == (not incomplete, incomplete)
    for refusal in answer.refusals:
        assert ADDRESS not in refusal.masked_body and SOL_KEY not in refusal.masked_body
        assert 0 < len(refusal.masked_body) <= 2000


async def test_what_cannot_be_judged_says_so_and_zero_is_not_a_price(ask: Ask) -> None:
    for name in ("missing_side", "unknown_mint"):
        assert (await ask(garbage(name))).holdings[0].flags == {Flag.CANNOT_JUDGE}
    assert (await ask(garbage("liq_zero"))).holdings[0].liquidation_price_usd is None
    assert (await ask(garbage("liq_wrong_side"))).holdings[0].liquidation_price_usd == 212.0


TOO_MANY = json.dumps({"code": 429, "message": "slow down"}).encode()
TEXT = {"content-type": "text/html"}
HTML = b"<!DOCTYPE html><html><head><title>Bad gateway</title></head><body>proxy</body></html>"
ROW = json.loads((FIXTURES / "jupiter_perps_positions_v1.json").read_text())["dataList"][2]


def told(name: str) -> bytes:
    return (FIXTURES / "errors" / f"{name}.json").read_bytes()


FAILURES: dict[str, tuple[Reply, FailureKind]] = {
    "server error": (Reply(told("jupiter_perps_500"), 500), FailureKind.SERVER_ERROR),
    "html of a gateway": (Reply(HTML, 502, TEXT), FailureKind.SERVER_ERROR),
    "unavailable": (Reply(b"", 503), FailureKind.SERVER_ERROR),
    "worded code": (Reply(told("jupiter_perps_400_code"), 400), FailureKind.BAD_STATUS),
    "numbered code": (Reply(b'{"code":400,"message":"bad wallet"}', 400), FailureKind.BAD_STATUS),
    "too many": (Reply(TOO_MANY, 429), FailureKind.RATE_LIMITED),
    "firewall html": (Reply(HTML, 403, TEXT), FailureKind.REFUSED),
    "region": (Reply(b"{}", 451), FailureKind.REFUSED),
    "redirect": (
        Reply(b"", 302, headers={"location": "http://127.0.0.1:9/"}),
        FailureKind.BAD_STATUS,
    ),
    "not found": (Reply(b'{"code":404}', 404), FailureKind.NOT_FOUND),
    "gone": (Reply(b"{}", 410), FailureKind.BAD_STATUS),
    "html with 200": (garbage("html_200"), FailureKind.BAD_BODY),
    "html that says html": (Reply(HTML, headers=TEXT), FailureKind.BAD_BODY),
    "truncated": (garbage("truncated"), FailureKind.BAD_BODY),
    "broken off": (Reply(positions("v1").body, truncate=True), FailureKind.BAD_BODY),
    "nan literal": (garbage("nan_literal"), FailureKind.BAD_BODY),
    "number beyond a double": (Reply(b'{"count":0,"dataList":[],"x":1e400}'), FailureKind.BAD_BODY),
    "empty": (Reply(b""), FailureKind.BAD_BODY),
    "error with 200": (Reply(b'{"code":500,"message":"internal"}'), FailureKind.BAD_BODY),
    "worded error with 200": (
        Reply(b'{"code":"upstream_down","message":"later"}'),
        FailureKind.BAD_BODY,
    ),
    "error beside an empty list": (
        Reply(b'{"error":"timeout","count":0,"dataList":[]}'),
        FailureKind.BAD_BODY,
    ),
    "list alone": (Reply(json.dumps([ROW]).encode()), FailureKind.BAD_BODY),
    "other object": (Reply(b'{"count":0,"positions":[]}'), FailureKind.BAD_BODY),
    "too deep": (
        Reply(b'{"count":0,"dataList":' + b"[" * 60 + b"]" * 60 + b"}"),
        FailureKind.BAD_BODY,
    ),
    "too long": (
        Reply(b'{"count":0,"dataList":["' + b"x" * (5 << 20) + b'"]}'),
        FailureKind.BAD_BODY,
    ),
}


@pytest.mark.parametrize(("reply", "kind"), FAILURES.values(), ids=FAILURES.keys())
async def test_an_answer_that_cannot_be_used_is_a_failure_without_an_address(
    ask: Ask, reply: Reply, kind: FailureKind
) -> None:
    with pytest.raises(ProviderFailure) as caught:
        await ask(reply)
    assert caught.value.kind is kind
    shown = str(caught.value) + repr(caught.value)
    assert ADDRESS not in shown and "127.0.0.1" not in shown


async def test_the_venues_own_code_is_told(ask: Ask) -> None:
    for name, word in (("worded code", "collateral_size_below_minimum"), ("numbered code", "400")):
        with pytest.raises(ProviderFailure, match=f"code {word}"):
            await ask(FAILURES[name][0])
    with pytest.raises(ProviderFailure) as caught:
        await ask(Reply(json.dumps({"code": f"no wallet {ADDRESS}"}).encode(), 400))
    assert ADDRESS not in caught.value.message


@pytest.mark.parametrize("body", [b'{"count":0,"dataList":null}', b'{"dataList":[],"count":0}'])
async def test_a_wallet_that_holds_nothing_is_complete(ask: Ask, body: bytes) -> None:
    answer = await ask(Reply(body), "v2")
    assert (answer.complete, answer.holdings, answer.row_count) == (True, (), 0)


async def test_a_null_list_with_a_count_is_not_complete(ask: Ask) -> None:
    answer = await ask(Reply(b'{"count":4,"dataList":null}'), "v2")
    assert (answer.complete, answer.incomplete_reason) == (False, "COUNT_MISMATCH")


async def test_a_limit_is_kept_to_the_second_it_names(stand: HttpProvider) -> None:
    clock = HastyClock(REFERENCE_TIME)
    reset = str(int((REFERENCE_TIME + timedelta(seconds=40)).timestamp()))
    script(stand, "v2", Reply(TOO_MANY, 429, headers={"x-ratelimit-reset": reset}))
    async with jupiter(stand, clock, "v2") as venue:
        for _ in range(2):
            with pytest.raises(ProviderFailure) as caught:
                await venue.fetch(WALLET, PRICES, clock.now())
            assert caught.value.kind is FailureKind.RATE_LIMITED
        assert len(stand.requests) == 1, "the second time nobody is asked"
        script(stand, "v2", positions("v2"))
        clock.advance(41)
        assert (await venue.fetch(WALLET, PRICES, clock.now())).complete


@pytest.mark.parametrize("status", [404, 410])
async def test_auto_asks_the_first_version_for_a_day_when_the_second_is_twice_said_to_be_gone(
    stand: HttpProvider, status: int
) -> None:
    clock = HastyClock(REFERENCE_TIME)
    script(stand, "v2", Reply(b'{"code":404,"message":"gone"}', status))
    script(stand, "v1", positions("v1"))
    async with jupiter(stand, clock, "auto") as venue:
        for seconds, words in (
            (0, "asked again"),
            (29, "asked again"),
            (1, "for a day"),
            (1, "for a day"),
        ):
            clock.advance(seconds)
            answer = await venue.fetch(WALLET, PRICES, clock.now())
            assert answer.complete and words in answer.message, "and it is said"
        assert paths(stand) == ["/v2/positions", "/v1/positions"] * 3 + ["/v1/positions"]
        clock.advance(DAY_SECONDS - 2)
        await venue.fetch(WALLET, PRICES, clock.now())
        assert paths(stand)[7:] == ["/v1/positions"]
        script(stand, "v2", positions("v2"))
        clock.advance(2)
        await venue.fetch(WALLET, PRICES, clock.now())
        assert paths(stand)[8:] == ["/v2/positions"]


async def test_one_404_of_the_second_version_is_looked_at_again_at_the_next_sync(
    stand: HttpProvider,
) -> None:
    clock = HastyClock(REFERENCE_TIME)
    stand.answer("GET /v2/positions", status=404, json={"code": 404}, times=1)
    script(stand, "v2", positions("v2"))
    script(stand, "v1", positions("v1"))
    async with jupiter(stand, clock, "auto") as venue:
        assert "HTTP 404" in (await venue.fetch(WALLET, PRICES, clock.now())).message
        for _ in range(3):
            clock.advance(60)
            assert (await venue.fetch(WALLET, PRICES, clock.now())).message == ""
    assert paths(stand) == ["/v2/positions", "/v1/positions", *["/v2/positions"] * 3]


async def test_auto_does_not_settle_on_a_version_that_does_not_answer(stand: HttpProvider) -> None:
    async with jupiter(stand, HastyClock(REFERENCE_TIME), "auto") as venue:
        for _ in range(2):
            with pytest.raises(ProviderFailure) as caught:
                await venue.fetch(WALLET, PRICES, REFERENCE_TIME)
            assert caught.value.kind is FailureKind.NOT_FOUND
    assert paths(stand) == ["/v2/positions", "/v1/positions"] * 2


async def test_auto_does_not_change_version_for_a_passing_failure(stand: HttpProvider) -> None:
    script(stand, "v2", Reply(b"", 503))
    script(stand, "v1", positions("v1"))
    async with jupiter(stand, HastyClock(REFERENCE_TIME), "auto") as venue:
        with pytest.raises(ProviderFailure):
            await venue.fetch(WALLET, PRICES, REFERENCE_TIME)
    assert "/v1/positions" not in paths(stand)


async def test_a_named_version_is_asked_and_no_other(stand: HttpProvider) -> None:
    script(stand, "v1", positions("v1"))
    async with jupiter(stand, HastyClock(REFERENCE_TIME), "v2") as venue:
        with pytest.raises(ProviderFailure):
            await venue.fetch(WALLET, PRICES, REFERENCE_TIME)
    assert paths(stand) == ["/v2/positions"]


def test_an_unknown_version_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="auto, v1, v2"):
        VENUES["jupiter"](VenueContext(PushedClock(REFERENCE_TIME), {"jupiter_api_version": "v3"}))


async def test_jupiter_asks_for_wallets_of_solana_only(stand: HttpProvider) -> None:
    async with jupiter(stand, PushedClock(REFERENCE_TIME)) as venue:
        assert (venue.name, venue.chains) == ("jupiter", frozenset({Chain.SOLANA}))
