"""HEAD, versions and small answers; and whatever is sent, the answer is JSON with a reason, never a
500.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import re
from collections.abc import AsyncIterator
from urllib.parse import quote

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.gateway.connection import Room
from services.gateway.encoding import accepts_gzip
from services.gateway.surface import routes
from tests.contract.gateway.test_connections import Gate, gate
from tests.fakes.examples import share_of

THRESHOLDS = "/v1/thresholds"


async def _threshold(served: httpx.AsyncClient) -> tuple[str, str]:
    found = (await served.get(THRESHOLDS, params={"page_size": 1})).json()["thresholds"][0]
    return f"{THRESHOLDS}/{found['id']}", found["etag"]


async def test_head_says_what_get_says_without_the_body(web: httpx.AsyncClient) -> None:
    for path in ("/v1/prices/BTC", "/livez", "/"):
        got, head = await web.get(path), await web.head(path)
        assert (head.status_code, head.content) == (got.status_code, b"")
        assert head.headers["content-length"] == got.headers["content-length"]
    assert (
        (await web.head("/v1/prices:watch")).headers["content-type"].startswith("text/event-stream")
    )
    assert (await web.head("/v1/nothing")).status_code == 404


async def test_a_change_is_made_of_the_version_that_was_read_and_of_no_other(
    served: httpx.AsyncClient,
) -> None:
    at, etag = await _threshold(served)
    changed = await served.patch(at, json={"enabled": False}, headers={"if-match": f'"{etag}"'})
    assert changed.status_code == 200, changed.text
    assert changed.headers["etag"] == f'"{changed.json()["etag"]}"'
    late = await served.patch(at, json={"enabled": True}, headers={"if-match": f'"{etag}"'})
    assert late.status_code == 412
    assert late.json()["error"]["details"][0]["reason"] == "ETAG_MISMATCH"
    both = await served.patch(
        at, json={"enabled": True, "etag": "other"}, headers={"if-match": f'"{etag}"'}
    )
    assert both.json()["error"]["details"][0]["reason"] == "BAD_IF_MATCH"
    star = await served.patch(at, json={"enabled": True}, headers={"if-match": "*"})
    assert star.status_code == 200


async def test_a_version_where_none_is_taken_is_refused_and_not_forgotten(
    served: httpx.AsyncClient,
) -> None:
    for word in ('"v1"', "v1", '"a", "b"'):
        refused = await served.post(
            "/v1/prices:refresh", json={"market": "demo"}, headers={"if-match": word}
        )
        assert refused.status_code == 400
        assert refused.json()["error"]["details"][0]["reason"] == "BAD_IF_MATCH"


async def test_readings_are_never_said_to_be_unchanged(served: httpx.AsyncClient) -> None:
    """An etag is of what people edit; what was read since changes without it."""
    again = await served.get("/v1/heatModifiers")
    same = await served.get("/v1/heatModifiers", headers={"if-none-match": again.headers["etag"]})
    assert (same.status_code, same.json()) == (200, again.json())


@pytest.mark.parametrize("path", ["/openapi.json", "/web/index.html"])
async def test_what_does_not_change_is_not_sent_again(web: httpx.AsyncClient, path: str) -> None:
    for accepted in ("gzip", "identity"):
        got = await web.get(path, headers={"accept-encoding": accepted})
        again = await web.get(
            path, headers={"accept-encoding": accepted, "if-none-match": got.headers["etag"]}
        )
        assert (again.status_code, again.content) == (304, b"")
        assert (again.headers["etag"], again.headers["vary"]) == (
            got.headers["etag"],
            "Accept-Encoding",
        )
    assert (await web.get(path, headers={"if-none-match": '"other"'})).status_code == 200


async def test_a_large_answer_is_small_for_whoever_asks(web: httpx.AsyncClient) -> None:
    plain = await web.get("/openapi.json", headers={"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.headers["vary"] == "Accept-Encoding"
    small = await web.get("/openapi.json", headers={"accept-encoding": "br;q=1, gzip;q=0.5"})
    assert small.headers["content-encoding"] == "gzip"
    assert int(small.headers["content-length"]) < len(plain.content) / 4
    assert small.content == plain.content
    assert "content-encoding" not in (await web.get("/livez")).headers


@pytest.mark.parametrize(
    ("header", "taken"),
    [
        ("gzip", True),
        ("GZIP, deflate", True),
        ("*", True),
        ("", False),
        ("identity", False),
        ("gzip;q=0", False),
        ("gzip; q=0.000", False),
        ("gzip;q=0, *", False),
        ("gzip;q=0.001", True),
        ("br, x-gzip;q=1.0", True),
    ],
)
def test_gzip_is_sent_to_whoever_takes_it(header: str, taken: bool) -> None:
    assert accepts_gzip(header) is taken


async def _exchange(held: Gate, head: bytes, body: bytes) -> tuple[int, bytes, bytes]:
    reader, writer = await asyncio.open_connection("127.0.0.1", held.port)
    try:
        writer.write(head + body)
        async with asyncio.timeout(20):
            text = await reader.read()
    finally:
        writer.close()
    top, _, rest = text.partition(b"\r\n\r\n")
    return int(top.split()[1]), top, rest


_FIELD = re.compile(r"\{[a-z._]+\}")
PATHS = sorted(
    {
        (route.verb, route.template)
        for route in routes()
        if route.service == "price" and not route.streams
    }
)
VALUES = st.binary(max_size=40).map(
    lambda value: bytes(sign for sign in value if sign not in b"\r\n\0")
)
NAMES = st.sampled_from(
    [
        *(
            b"traceparent",
            b"x-request-id",
            b"x-cycle-id",
            b"origin",
            b"sec-fetch-site",
            b"content-type",
            b"accept",
        ),
        *(
            b"accept-encoding",
            b"if-match",
            b"if-none-match",
            b"x-forwarded-for",
            b"cookie",
            b"expect",
            b"range",
        ),
    ]
)
QUERIES = st.binary(max_size=60).map(
    lambda value: bytes(sign for sign in value if 0x20 < sign < 0x7F and sign != ord("#"))
) | st.sampled_from(
    [
        b"side=--5",
        b"market=--5",
        b"page_size=" + b"9" * 4_300,
        b"%ED%A0%80=%ED%A0%80",
        b"a=%00&&&==%",
    ]
)
ODD = st.sampled_from(
    [
        b'{"a": "\\ud800"}',
        b'{"market": "\\ud800"}',
        b'{"assets": ["\\udfff"]}',
        b'{"assets": ' + b"[" * 900 + b"]" * 900 + b"}",
        b'{"market": ' + b"9" * 4_300 + b"}",
        b'{"force": ' + b"1" * 5_000 + b"}",
        b"\xff\xfe",
        b'{"market": true}',
        b'{"\\ud800": 1, "market": -1e999}',
    ]
)
BODIES = (
    ODD
    | st.binary(max_size=60)
    | st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
        lambda inside: (
            st.lists(inside, max_size=3) | st.dictionaries(st.text(max_size=8), inside, max_size=3)
        ),
        max_leaves=5,
    ).map(lambda value: json.dumps(value).encode())
)


@pytest.fixture
async def reading(scripted: str) -> AsyncIterator[Gate]:
    async with gate(scripted, Room(100)) as held:
        yield held


@settings(
    max_examples=share_of(150),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    st.sampled_from(PATHS),
    st.lists(st.tuples(NAMES, VALUES), max_size=3),
    QUERIES,
    BODIES,
    st.text(max_size=6),
)
async def test_whatever_is_sent_is_answered_in_json_with_a_reason(
    reading: Gate,
    at: tuple[str, str],
    headers: list[tuple[bytes, bytes]],
    query: bytes,
    body: bytes,
    name: str,
) -> None:
    verb, template = at
    path = _FIELD.sub(quote(name, safe="", errors="replace") or "x", template)
    lines = [
        f"{verb} {path}".encode() + b"?" + query + b" HTTP/1.1",
        b"Host: localhost",
        b"Connection: close",
    ]
    lines += [b"Content-Type: application/json", b"Content-Length: " + str(len(body)).encode()]
    lines += [
        key + b": " + value for key, value in headers if key not in (b"content-type", b"expect")
    ]
    status, top, rest = await _exchange(reading, b"\r\n".join(lines) + b"\r\n\r\n", body)
    if b"content-encoding: gzip" in top.lower():
        rest = gzip.decompress(rest)
    assert status < 500 or status in (501, 503), (status, rest)
    if status not in (200, 304):
        told = json.loads(rest)["error"]
        reasons = [
            detail["reason"] for detail in told["details"] if detail["@type"].endswith("ErrorInfo")
        ]
        assert len(reasons) == 1
        assert reasons[0] == reasons[0].upper()
