"""Real price, positions and alerts servers behind the gateway: what a person with curl does."""

from __future__ import annotations

import httpx
import pytest

HELD = {
    "asset": "btc",
    "side": "long",
    "entry_price_usd": 100_000,
    "size_usd": 5000,
    "collateral_usd": 1000,
}


async def test_a_position_is_made_changed_and_taken_away(served: httpx.AsyncClient) -> None:
    made = await served.post("/v1/positions", json=HELD | {"note": "<script>alert(1)</script>"})
    assert made.status_code == 200, made.text
    position = made.json()
    assert (position["asset"], position["side"], position["leverage_ratio"]) == (
        "BTC",
        "SIDE_LONG",
        5.0,
    )
    at = f"/v1/positions/{position['id']}"

    changed = await served.patch(at, json={"note": "", "collateral_usd": 2500})
    assert changed.status_code == 200, changed.text
    assert (changed.json()["note"], changed.json()["leverage_ratio"]) == ("", 2.0)
    assert (await served.get(at)).json()["size_usd"] == 5000

    assert (await served.delete(at)).json() == {}
    assert (await served.get(at)).status_code == 404


async def test_a_wallet_is_switched_off_by_a_false_alone(served: httpx.AsyncClient) -> None:
    made = await served.post("/v1/wallets", json={"name": "a/b: c", "chain": "manual"})
    assert made.json()["active"] is True, made.text
    changed = await served.patch("/v1/wallets/a%2Fb%3A%20c", json={"active": False})
    assert (changed.json()["active"], changed.json()["chain"]) == (False, "CHAIN_MANUAL")


async def test_a_threshold_is_switched_off_and_its_etag_is_kept(served: httpx.AsyncClient) -> None:
    found = (await served.get("/v1/thresholds", params={"page_size": 1})).json()["thresholds"][0]
    at = f"/v1/thresholds/{found['id']}"
    changed = await served.patch(at, json={"enabled": False, "etag": found["etag"]})
    assert changed.status_code == 200, changed.text
    assert changed.json()["enabled"] is False
    assert changed.json()["high"] == found["high"]
    again = await served.patch(at, json={"enabled": True, "etag": found["etag"]})
    assert again.status_code in (400, 409)
    assert again.json()["error"]["details"][0]["reason"] == "ETAG_MISMATCH"


async def test_a_step_by_hand_cannot_speak_with_the_words_of_a_cycle(
    served: httpx.AsyncClient,
) -> None:
    """Today's attack: a high epoch made every later cycle's step STALE_EPOCH."""
    for body in ({"cycle_id": "c", "epoch": str(2**62)}, {"cycleId": "c"}, {"epoch": "1"}):
        refused = await served.post("/v1/prices:refresh", json={"market": "demo", **body})
        assert refused.status_code == 400
        info, problems = refused.json()["error"]["details"]
        assert info["reason"] == "UNKNOWN_FIELD"
        named = "cycle_id" if "epoch" not in body or "cycle_id" in body else "epoch"
        assert problems["field_violations"][0]["field"] == named
    assert (await served.post("/v1/prices:refresh", json={"market": "demo"})).status_code == 200


async def test_a_private_key_is_refused_and_not_repeated(served: httpx.AsyncClient) -> None:
    key = "0x" + "ab" * 32
    refused = await served.post(
        "/v1/wallets", json={"name": "x", "chain": "ethereum", "public_address": key}
    )
    assert refused.status_code == 400
    assert refused.json()["error"]["details"][0]["reason"] == "PRIVATE_KEY_REFUSED"
    assert key not in refused.text


async def test_a_private_key_reaches_no_alert_and_no_log_over_http(
    served: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    key = "9f3c" * 16
    refused = await served.post(
        "/v1/alerts",
        json={
            "alert": {"asset": "BTC", "trigger_value": 1, "notes": f"key {key}"},
            "type_name": "price",
        },
        headers={"x-request-id": key},
    )
    assert refused.status_code == 400
    assert refused.json()["error"]["details"][0]["reason"] == "PRIVATE_KEY_REFUSED"
    assert key not in refused.text + str(refused.headers) + caplog.text


async def test_prices_are_watched_over_http(served: httpx.AsyncClient) -> None:
    refreshed = await served.post("/v1/prices:refresh", json={"market": "demo", "force": True})
    assert refreshed.status_code == 200, refreshed.text
    async with served.stream("GET", "/v1/prices:watch", params={"assets": "BTC"}) as response:
        async for line in response.aiter_lines():
            if line.startswith("data: "):
                assert '"asset":"BTC"' in line
                break


async def test_totals_and_mode_are_there(served: httpx.AsyncClient) -> None:
    assert (await served.get("/v1/mode")).json()["mode"] == "MODE_DEMO"
    assert (await served.get("/v1/totals")).status_code == 200


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/v1/positions?wallet=nope", "WALLET_NOT_FOUND"),
        ("/v1/positions:export?wallet=nope&format=CSV", "WALLET_NOT_FOUND"),
        ("/v1/alerts?position_id=nope", "POSITION_NOT_FOUND"),
        ("/v1/ledger?alert_id=nope", "ALERT_NOT_FOUND"),
        ("/v1/alerts:statistics?alert_id=nope", "ALERT_NOT_FOUND"),
    ],
)
async def test_a_filter_that_names_what_is_not_there_is_404(
    served: httpx.AsyncClient, path: str, reason: str
) -> None:
    answer = await served.get(path)
    assert (answer.status_code, answer.json()["error"]["details"][0]["reason"]) == (404, reason)


async def test_a_list_says_of_each_row_what_the_row_itself_says(
    served: httpx.AsyncClient,
) -> None:
    """A list is written by its service, column by column; one row goes through its message."""
    for number in range(3):
        made = await served.post("/v1/positions", json=HELD | {"note": f"of list {number}"})
        assert made.status_code == 200, made.text
    rows, token = [], ""
    while not rows or token:
        params = {"page_size": "2", "page_token": token}
        page = (await served.get("/v1/positions", params=params)).json()
        rows, token = rows + page["positions"], page["next_page_token"]
    assert {f"of list {number}" for number in range(3)} <= {row["note"] for row in rows}
    for row in rows:
        assert row == (await served.get(f"/v1/positions/{row['id']}")).json()

    masked = (await served.get("/v1/positions", params={"read_mask": "id,size_usd"})).json()
    assert masked["positions"][0]["size_usd"] == 5000
    assert masked["positions"][0]["note"] == ""
    assert "entry_price_usd" not in masked["positions"][0]
