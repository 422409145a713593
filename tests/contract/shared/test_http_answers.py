"""What ProviderHttp sends, believes and refuses, against a real server that misbehaves on
purpose."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import httpx
import pytest

from shared.clock import PushedClock, SystemClock
from shared.http import FailureKind, ProviderFailure, ProviderHttp
from tests.fakes.http_provider import HttpProvider

START_TIME = datetime(2026, 1, 1, tzinfo=UTC)
SECRET_ADDRESS = "9xQeWvG816bUx9EPjHmaT23yvVM2ZWbrrpZb9PusVFin"


@pytest.fixture
async def provider() -> AsyncIterator[HttpProvider]:
    async with HttpProvider() as running:
        yield running


@pytest.fixture
async def http(provider: HttpProvider) -> AsyncIterator[ProviderHttp]:
    client = ProviderHttp("shop", provider.url, clock=SystemClock(), timeout_seconds=0.6, retries=0)
    await client.start()
    yield client
    await client.stop()


async def failure_of(http: ProviderHttp, path: str = "/x") -> ProviderFailure:
    with pytest.raises(ProviderFailure) as caught:
        await http.get_json(path)
    return caught.value


async def test_an_answer_carries_its_body_status_headers_and_times(provider: HttpProvider) -> None:
    clock = PushedClock(START_TIME)
    http = ProviderHttp("shop", provider.url, clock=clock)
    provider.answer("GET /x", json={"a": [1, 2.5, None]}, headers={"X-Weight": "7"})
    answer = await http.get_json("/x", {"q": "1"})
    await http.stop()
    assert answer.body == {"a": [1, 2.5, None]}
    assert (answer.status, answer.headers["x-weight"]) == (200, "7")
    assert (answer.received_time, answer.latency_seconds) == (START_TIME, 0.0)


async def test_a_path_prefix_repeated_parameters_and_headers_arrive(provider: HttpProvider) -> None:
    http = ProviderHttp(
        "shop", f"{provider.url}/mirror/", clock=SystemClock(), headers={"user-agent": "Browser"}
    )
    provider.answer("GET /mirror/v1/x", json={})
    await http.get_json("/v1/x", [("ids[]", "a"), ("ids[]", "b c")], headers={"x-key": "k"})
    await http.stop()
    [asked] = provider.asked("GET /mirror/v1/x")
    assert asked.pairs == (("ids[]", "a"), ("ids[]", "b c"))
    assert (asked.headers["user-agent"], asked.headers["x-key"]) == ("Browser", "k")


async def test_what_is_posted_arrives_as_json_or_as_a_form(
    provider: HttpProvider, http: ProviderHttp
) -> None:
    provider.answer("POST /info", json={})
    await http.post_json("/info", {"type": "state"})
    await http.post_form("/info", {"sql": "SELECT 1", "db": "public"})
    as_json, as_form = provider.asked("POST /info")
    assert json.loads(as_json.body) == {"type": "state"}
    assert as_form.body == b"sql=SELECT+1&db=public"


@pytest.mark.parametrize("address", ["ftp://shop", "shop.example", "http://", ""])
def test_a_base_address_that_is_none_is_refused_at_once(address: str) -> None:
    with pytest.raises(ValueError, match="shop"):
        ProviderHttp("shop", address, clock=SystemClock())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  ",
        "<html></html>",
        '{"a": 1',
        '{"a": NaN}',
        '{"a": -Infinity}',
        '{"a": 1e400}',
        '{"a": ' + "9" * 400 + "}",
        '{"a": ' + "9" * 5000 + "}",
        '{"a": 1, "a": 2}',
        '{"a": "\\ud800"}',
        '{"a": "x\\u0000"}',
        "[" * 40 + "]" * 40,
        "[" * 100_000,
        b'{"a": "\xff"}',
    ],
    ids=lambda text: repr(text)[:24],
)
async def test_what_is_not_strict_json_is_refused(
    provider: HttpProvider, http: ProviderHttp, text: str | bytes
) -> None:
    provider.answer("GET /x", text=text)
    failure = await failure_of(http)
    assert (failure.kind, failure.status) == (FailureKind.BAD_BODY, 200)


async def test_text_outside_ascii_and_a_byte_order_mark_are_believed(
    provider: HttpProvider, http: ProviderHttp
) -> None:
    provider.answer("GET /x", text=b"\xef\xbb\xbf" + '{"a": "ü\\ud83d\\ude00"}'.encode())
    assert (await http.get_json("/x")).body == {"a": "ü😀"}


async def test_an_answer_as_deep_as_allowed_is_believed(
    provider: HttpProvider, http: ProviderHttp
) -> None:
    provider.answer("GET /x", text="[" * 32 + "]" * 32)
    await http.get_json("/x")


async def test_a_body_that_does_not_call_itself_json_is_refused(
    provider: HttpProvider, http: ProviderHttp
) -> None:
    provider.answer("GET /x", text='{"a": 1}', headers={"content-type": "text/html; charset=utf-8"})
    assert (await failure_of(http)).kind is FailureKind.BAD_BODY
    provider.answer("GET /x", text='{"a": 1}', headers={"content-type": "application/problem+json"})
    await http.get_json("/x")


async def test_a_packed_body_is_unpacked(provider: HttpProvider, http: ProviderHttp) -> None:
    provider.answer("GET /x", json={"a": "b" * 1000}, zipped=True)
    assert (await http.get_json("/x")).body == {"a": "b" * 1000}


@pytest.mark.parametrize("zipped", [False, True])
async def test_a_body_beyond_the_bound_is_refused_however_it_is_packed(
    provider: HttpProvider, zipped: bool
) -> None:
    http = ProviderHttp("shop", provider.url, clock=SystemClock(), max_body_bytes=10_000, retries=0)
    provider.answer("GET /x", json="b" * 3_000_000, zipped=zipped)
    failure = await failure_of(http)
    await http.stop()
    assert failure.kind is FailureKind.BAD_BODY
    assert "10000 bytes" in failure.message


@pytest.mark.parametrize("zipped", [False, True])
async def test_a_body_that_breaks_off_is_refused(
    provider: HttpProvider, http: ProviderHttp, zipped: bool
) -> None:
    provider.answer("GET /x", json={"a": "b" * 50}, truncate=True, zipped=zipped)
    assert (await failure_of(http)).kind is FailureKind.BAD_BODY


async def test_an_encoding_nobody_asked_for_is_refused(
    provider: HttpProvider, http: ProviderHttp
) -> None:
    provider.answer("GET /x", json={}, headers={"content-encoding": "br"})
    assert (await failure_of(http)).kind is FailureKind.BAD_BODY


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (301, FailureKind.BAD_STATUS),
        (400, FailureKind.BAD_STATUS),
        (410, FailureKind.BAD_STATUS),
        (404, FailureKind.NOT_FOUND),
        (401, FailureKind.REFUSED),
        (403, FailureKind.REFUSED),
        (451, FailureKind.REFUSED),
        (418, FailureKind.BANNED),
        (429, FailureKind.RATE_LIMITED),
        (500, FailureKind.SERVER_ERROR),
        (503, FailureKind.SERVER_ERROR),
        (599, FailureKind.SERVER_ERROR),
    ],
)
async def test_each_status_has_its_kind(
    provider: HttpProvider, http: ProviderHttp, status: int, kind: FailureKind
) -> None:
    provider.answer(
        "GET /x", json={"error": "no"}, status=status, headers={"location": "/elsewhere"}
    )
    failure = await failure_of(http)
    assert (failure.kind, failure.status, len(provider.requests)) == (kind, status, 1)


async def test_the_words_of_a_not_found_reach_the_adapter_but_not_the_message(
    provider: HttpProvider, http: ProviderHttp
) -> None:
    provider.answer("GET /x", json={"errors": [{"msg": f"none of {SECRET_ADDRESS}"}]}, status=404)
    failure = await failure_of(http)
    assert failure.body == {"errors": [{"msg": f"none of {SECRET_ADDRESS}"}]}
    assert SECRET_ADDRESS not in str(failure)


async def test_no_log_line_and_no_failure_holds_what_was_asked(
    provider: HttpProvider, http: ProviderHttp, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    provider.answer(f"GET /{SECRET_ADDRESS}", status=500)
    failure = await failure_of(http, f"/{SECRET_ADDRESS}")
    assert SECRET_ADDRESS not in str(failure) + repr(failure) + failure.message
    assert SECRET_ADDRESS not in caplog.text


async def test_a_redirect_is_never_followed(provider: HttpProvider, http: ProviderHttp) -> None:
    provider.answer("GET /x", status=302, headers={"location": f"{provider.url}/y"})
    provider.answer("GET /y", json={})
    await failure_of(http)
    assert not provider.asked("GET /y")


async def test_stopping_closes_the_connections_and_starting_again_works(
    provider: HttpProvider, http: ProviderHttp
) -> None:
    provider.answer("GET /x", json={})
    await http.get_json("/x")
    await http.stop()
    await http.start()
    await http.get_json("/x")
    assert isinstance(http._client, httpx.AsyncClient)
