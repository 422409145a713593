"""Calls of providers as spans: by name and outcome, and nothing that has to stay private."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from opentelemetry.trace import StatusCode

from shared import tracing
from shared.clock import PushedClock
from shared.http import ProviderFailure, ProviderHttp
from tests.fakes.http_provider import HttpProvider
from tests.fakes.spans import Spans, kept_spans

ADDRESS, KEY = "9WzDXwBbmkg8ZTbNMqUxvQRAyrZzDsGYdLVL9zYtAWWM", "canary-key"


@pytest.fixture
async def provider() -> AsyncIterator[HttpProvider]:
    async with HttpProvider() as made:
        yield made


async def _asked(provider: HttpProvider) -> None:
    http = ProviderHttp(
        "dydx",
        provider.url,
        clock=PushedClock(datetime(2026, 11, 30, tzinfo=UTC)),
        retries=0,
        headers={"x-api-key": KEY},
    )
    try:
        await http.get_json(f"/wallets/{ADDRESS}", {"address": ADDRESS, "key": KEY})
    finally:
        await http.stop()


def _only(spans: Spans) -> tuple[dict[str, object], StatusCode]:
    (span,) = spans.named("ask dydx")
    assert ADDRESS not in spans.text and KEY not in spans.text
    return dict(span.attributes or {}), span.status.status_code


async def test_a_call_is_a_span_of_its_cycle_by_name_and_outcome(provider: HttpProvider) -> None:
    provider.answer(f"GET /wallets/{ADDRESS}", json={})
    with kept_spans() as spans, tracing.entered("cycle", key="cyc-1"):
        await _asked(provider)
    assert _only(spans) == ({"provider": "dydx", "outcome": "OK"}, StatusCode.UNSET)
    (above,), (span,) = spans.named("cycle"), spans.named("ask dydx")
    assert span.parent is not None and above.context is not None and span.context is not None
    assert span.parent.span_id == above.context.span_id
    assert f"{span.context.trace_id:032x}" == tracing.key_trace("cyc-1").split("-")[1]


@pytest.mark.parametrize(
    ("status", "outcome"), [(429, "RATE_LIMITED"), (503, "SERVER_ERROR"), (403, "REFUSED")]
)
async def test_one_that_fails_says_how(provider: HttpProvider, status: int, outcome: str) -> None:
    provider.answer(f"GET /wallets/{ADDRESS}", status=status, text=f"no, {ADDRESS}")
    with kept_spans() as spans, pytest.raises(ProviderFailure):
        await _asked(provider)
    assert _only(spans) == ({"provider": "dydx", "outcome": outcome}, StatusCode.ERROR)
