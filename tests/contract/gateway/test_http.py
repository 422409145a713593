"""HTTP in front of a service: status, reason, headers, and who is turned away."""

from __future__ import annotations

import asyncio
import re
from datetime import timedelta
from typing import Any

import httpx
import pytest

from services.gateway import server as gateway
from services.gateway.guard import MAX_BODY_BYTES
from shared import errors
from tests.contract.gateway.conftest import Script, client, config

JSON = {"Content-Type": "application/json"}


def reason(response: httpx.Response) -> str:
    return str(response.json()["error"]["details"][0]["reason"])


@pytest.mark.parametrize(
    ("raised", "status", "told"),
    [
        (
            errors.InvalidArgument("INVALID_FIELD", "m", fields={"asset": "empty"}),
            400,
            "INVALID_FIELD",
        ),
        (errors.FailedPrecondition("NOT_CONFIRMED", "m"), 400, "NOT_CONFIRMED"),
        (errors.Unauthenticated("WHO", "m"), 401, "WHO"),
        (errors.PermissionDenied("NOT_YOU", "m"), 403, "NOT_YOU"),
        (errors.NotFound("PRICE_NOT_FOUND", "m"), 404, "PRICE_NOT_FOUND"),
        (errors.AlreadyExists("THERE", "m"), 409, "THERE"),
        (errors.Conflict("STALE_EPOCH", "m"), 409, "STALE_EPOCH"),
        (errors.Exhausted("SLOW_DOWN", "m"), 429, "SLOW_DOWN"),
        (NotImplementedError(), 501, "UNIMPLEMENTED"),
        (RuntimeError("postgresql://secret"), 500, "INTERNAL"),
    ],
)
async def test_a_failure_keeps_its_reason_over_http(
    web: httpx.AsyncClient, script: Script, raised: Exception, status: int, told: str
) -> None:
    script.failure = raised
    response = await web.get("/v1/prices/BTC")
    assert (response.status_code, reason(response)) == (status, told)
    assert response.json()["error"]["details"][0]["domain"] == "sonic.price.v1"
    assert "secret" not in response.text


async def test_what_may_be_tried_again_says_when(web: httpx.AsyncClient, script: Script) -> None:
    script.failure = errors.Exhausted("SLOW_DOWN", "m", retry_after=timedelta(seconds=7))
    response = await web.get("/v1/prices/BTC")
    assert response.headers["retry-after"] == "7"


async def test_an_internal_failure_names_its_incident(
    web: httpx.AsyncClient, script: Script
) -> None:
    script.failure = ValueError("details")
    metadata = (await web.get("/v1/prices/BTC")).json()["error"]["details"][0]["metadata"]
    assert metadata["incident_id"].startswith("inc-")


async def test_a_service_that_is_not_there_is_503_without_an_address(
    web: httpx.AsyncClient,
) -> None:
    response = await web.get("/v1/positions")
    assert (response.status_code, reason(response)) == (503, "PEER_UNAVAILABLE")
    assert "127.0.0.1" not in response.text
    assert int(response.headers["retry-after"]) >= 1


async def test_a_request_id_goes_through_and_comes_back(
    web: httpx.AsyncClient, script: Script
) -> None:
    response = await web.get("/v1/prices/BTC", headers={"X-Request-Id": "mine-1"})
    assert (response.headers["x-request-id"], script.request_id) == ("mine-1", "mine-1")
    response = await web.get("/v1/prices/BTC", headers={"X-Request-Id": "two words"})
    assert response.headers["x-request-id"] == script.request_id
    assert script.request_id.startswith("req-")


async def test_the_answer_is_json_with_the_names_of_the_schema(web: httpx.AsyncClient) -> None:
    response = await web.get("/v1/prices/a%2Fb")
    assert response.headers["content-type"] == "application/json"
    assert response.json()["asset"] == "a/b"
    assert "price_usd" not in response.json()
    assert response.json()["quality"] == "QUALITY_UNSPECIFIED"


@pytest.mark.parametrize(
    ("method", "path", "status", "told"),
    [
        ("GET", "/v1/nothing", 404, "ROUTE_NOT_FOUND"),
        ("GET", "/v1/prices/BTC/", 404, "ROUTE_NOT_FOUND"),
        ("GET", "/v1/prices/%ff", 404, "ROUTE_NOT_FOUND"),
        ("GET", "/web/../server.py", 404, "ROUTE_NOT_FOUND"),
        ("GET", "/web/server.py", 404, "ROUTE_NOT_FOUND"),
        ("PUT", "/v1/prices/BTC", 405, "VERB_NOT_ALLOWED"),
        ("HEAD", "/v1/prices:refresh", 405, None),
        ("OPTIONS", "/v1/prices", 405, "VERB_NOT_ALLOWED"),
        ("POST", "/healthz", 405, "VERB_NOT_ALLOWED"),
        ("POST", "/", 405, "VERB_NOT_ALLOWED"),
        ("GET", "/v1/prices:clear", 405, "VERB_NOT_ALLOWED"),
        ("GET", "/v1/prices?colour=red", 400, "UNKNOWN_FIELD"),
    ],
)
async def test_a_request_that_fits_nothing_is_told_so(
    web: httpx.AsyncClient, method: str, path: str, status: int, told: str | None
) -> None:
    response = await web.request(method, path)
    assert response.status_code == status
    if told is not None:
        assert reason(response) == told
    if status == 405:
        assert response.headers["allow"]


SECURITY: list[tuple[dict[str, Any], int, str]] = [
    ({"headers": {**JSON, "Host": "evil.example"}, "content": "{}"}, 403, "HOST_NOT_ALLOWED"),
    (
        {"headers": {**JSON, "Origin": "http://evil.example"}, "content": "{}"},
        403,
        "ORIGIN_NOT_ALLOWED",
    ),
    ({"headers": {**JSON, "Origin": "null"}, "content": "{}"}, 403, "ORIGIN_NOT_ALLOWED"),
    (
        {"headers": {**JSON, "Sec-Fetch-Site": "cross-site"}, "content": "{}"},
        403,
        "ORIGIN_NOT_ALLOWED",
    ),
    ({"headers": {"Content-Type": "text/plain"}, "content": "{}"}, 415, "NOT_JSON"),
    ({"data": {"confirm": "clear"}}, 415, "NOT_JSON"),
    ({"headers": {"Content-Type": "text/plain"}}, 415, "NOT_JSON"),
    ({"content": "{}"}, 415, "NOT_JSON"),
    ({"headers": JSON, "content": "{"}, 400, "BAD_JSON"),
    ({"headers": JSON, "content": b" " * (MAX_BODY_BYTES + 1)}, 413, "BODY_TOO_LARGE"),
]


@pytest.mark.parametrize(("sent", "status", "told"), SECURITY, ids=lambda value: str(value)[:60])
async def test_a_change_that_is_not_asked_for_properly_is_refused(
    web: httpx.AsyncClient, sent: dict[str, Any], status: int, told: str
) -> None:
    response = await web.post("/v1/prices:clear", **sent)
    assert (response.status_code, reason(response)) == (status, told)


async def test_a_body_without_a_length_is_bounded_too(web: httpx.AsyncClient) -> None:
    async def endless() -> Any:
        for _ in range(MAX_BODY_BYTES // 65536 + 2):
            yield b" " * 65536

    response = await web.post("/v1/prices:clear", headers=JSON, content=endless())
    assert (response.status_code, reason(response)) == (413, "BODY_TOO_LARGE")


@pytest.mark.parametrize(
    "path", ["/", "/v1/prices/BTC", "/v1/nothing", "/healthz", "/metrics", "/web/app.js"]
)
async def test_every_answer_carries_the_security_headers(web: httpx.AsyncClient, path: str) -> None:
    headers = (await web.get(path, headers={"Origin": "http://evil.example"})).headers
    policy = headers["content-security-policy"]
    assert (
        "default-src 'self'" in policy
        and "frame-ancestors 'none'" in policy
        and "unsafe" not in policy
    )
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert not [name for name in headers if name.startswith("access-control")]
    assert "server" not in headers


async def test_health_names_every_service(web: httpx.AsyncClient) -> None:
    response = await web.get("/healthz", headers={"Host": "10.1.2.3:8080"})
    services = response.json()["services"]
    assert response.status_code == 503
    assert services["price"] == {"state": "SERVING"}
    assert services["xcom"] == {"state": "UNREACHABLE", "reason": "PEER_UNAVAILABLE"}
    assert len(services) == 8


async def test_health_is_200_when_all_serve(scripted: str) -> None:
    everybody = dict.fromkeys(
        (
            "price",
            "positions",
            "hedges",
            "alerts",
            "monitor",
            "xcom",
            "cyclone",
            "withdrawals",
        ),
        scripted,
    )
    async with gateway.build(config(everybody)) as app, client(app) as web:
        response = await web.get("/healthz")
        assert (response.status_code, response.json()["status"]) == (200, "SERVING")


async def test_living_asks_nobody(web: httpx.AsyncClient) -> None:
    response = await web.get("/livez", headers={"Host": "10.1.2.3"})
    assert (response.status_code, response.json()) == (200, {"status": "SERVING"})


async def test_metrics_count_by_route_and_never_by_name(web: httpx.AsyncClient) -> None:
    await web.get("/v1/prices/my-own-asset")
    await web.get("/v1/my-own-path")
    text = (await web.get("/metrics")).text
    labels = (
        'http_request_method="GET",http_response_status_code="200",http_route="/v1/prices/{asset}"'
    )
    assert f"http_server_request_duration_seconds_count{{{labels}}}" in text
    assert "my-own" not in text


async def test_the_document_is_served(web: httpx.AsyncClient) -> None:
    document = (await web.get("/openapi.json")).json()
    assert "get" in document["paths"]["/v1/prices/{asset}"]


async def test_the_page_is_served_once(web: httpx.AsyncClient) -> None:
    response = await web.get("/")
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    again = await web.get("/", headers={"If-None-Match": response.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


async def test_the_page_holds_no_script_and_no_style_of_its_own(web: httpx.AsyncClient) -> None:
    page = (await web.get("/")).text
    assert "style=" not in page and "<style" not in page and "onclick" not in page
    assert (
        len(re.findall(r"<script\b", page)) == len(re.findall(r'<script [^>]*src="/web/', page)) > 0
    )
    assert "http://" not in page and "https://" not in page


async def test_a_port_that_is_taken_is_an_error(web: httpx.AsyncClient) -> None:
    taken = f"127.0.0.1:{web.base_url.port}"
    with pytest.raises(OSError):
        await gateway.build(config({}, listen_address=taken)).start()


async def test_a_request_in_flight_is_finished_when_the_gateway_leaves(
    scripted: str, script: Script
) -> None:
    app = gateway.build(config({"price": scripted}))
    await app.start()
    async with client(app) as web, web.stream("GET", "/v1/prices:watch") as response:
        lines = response.aiter_lines()
        assert await anext(lines) == "retry: 3000"
        stopping = asyncio.create_task(app.stop())
        rest = [line async for line in lines]
        await asyncio.wait_for(stopping, 3)
    assert "event: error" in rest
    assert any("SHUTTING_DOWN" in line for line in rest)


async def test_an_answer_does_not_wait_for_the_network_stack(web: httpx.AsyncClient) -> None:
    """Head and body are two writes: with Nagle's waiting on, each answer on loopback takes 40
    ms."""
    await web.get("/livez")
    taken = [(await web.get("/livez")).elapsed.total_seconds() for _ in range(15)]
    assert min(taken) < 0.03
