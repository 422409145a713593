"""Requests over HTTP as spans: by their route, and the calls behind them below."""

from __future__ import annotations

import httpx
import pytest
from opentelemetry.trace import StatusCode

from shared.errors import NotFound
from tests.contract.gateway.conftest import Script
from tests.fakes.spans import Spans, kept_spans

TRACE_ID, PARENT_ID = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SENT = {"traceparent": f"00-{TRACE_ID}-{PARENT_ID}-01"}


def _facts(spans: Spans, name: str) -> tuple[object, object, StatusCode]:
    (span,) = spans.named(name)
    known = dict(span.attributes or {})
    return known["http.route"], known["http.response.status_code"], span.status.status_code


async def test_a_request_is_a_span_by_its_route_above_the_calls_it_makes(
    web: httpx.AsyncClient,
) -> None:
    with kept_spans() as spans:
        await web.get("/v1/prices/canary-asset?canary=canary", headers=SENT)
        await web.get("/v1/prices/BTC", headers=SENT)
        await web.get("/canary-path/one?token=canary")
    assert "canary" not in spans.text
    asked, others = spans.named("GET /v1/prices/{asset}"), "GET (other)"
    assert len(asked) == 2
    assert _facts(spans, others) == ("(other)", 404, StatusCode.UNSET)
    for span in asked:
        assert span.context is not None and span.parent is not None
        assert f"{span.context.trace_id:032x}" == TRACE_ID
        assert f"{span.parent.span_id:016x}" == PARENT_ID
    (called,) = [
        one
        for one in spans.named("sonic.price.v1.PriceService/GetPrice")
        if one.parent is not None
        and one.parent.span_id in {one.context.span_id for one in asked if one.context}
    ]
    assert called.context is not None and f"{called.context.trace_id:032x}" == TRACE_ID


async def test_what_fails_here_is_an_error_and_what_others_did_wrong_is_none(
    web: httpx.AsyncClient, script: Script
) -> None:
    with kept_spans() as spans:
        script.failure = RuntimeError("canary")
        await web.get("/v1/prices/BTC")
    assert _facts(spans, "GET /v1/prices/{asset}")[1:] == (500, StatusCode.ERROR)
    assert "canary" not in spans.text


@pytest.mark.parametrize("path", ["/v1/prices/BTC", "/v1/nothing"])
async def test_a_failure_names_its_trace(web: httpx.AsyncClient, script: Script, path: str) -> None:
    script.failure = NotFound("PRICE_NOT_FOUND", "no price of BTC")
    (told, *_) = (await web.get(path, headers=SENT)).json()["error"]["details"]
    assert told["metadata"] == {"trace_id": TRACE_ID}
    (untraced, *_) = (await web.get(path)).json()["error"]["details"]
    assert "metadata" not in untraced
