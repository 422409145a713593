"""Rules, monitors, deliveries, wallets, hedges, cycles, prices, portfolio and logs:
what is done in a browser is looked up in the store. Needs a Chromium; without one it is skipped,
and counted so.
"""

from __future__ import annotations

import signal

import pytest

from tests.browser.chromium import found
from tests.browser.desk import Desk, desk, refusing
from tests.chaos.conftest import home

__all__ = ["desk", "home", "refusing"]

MARKUP = "<img src=x onerror=document.title='broken'>"
KEY = "4f" * 32
PHRASE = "abandon " * 11 + "about"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(
        found() is None, reason="no Chromium on this machine: the dashboard is not tested"
    ),
]


async def test_rules_and_monitors_are_edited_to_what_is_stored(desk: Desk) -> None:
    page = await desk.show("/rules")
    await desk.click(".tools button", "New rule")
    await desk.write("asset", "BTC")
    await desk.write("threshold", "5")
    await desk.write("recurrence", "RULE_RECURRENCE_LADDER")
    await desk.write("window", "3600s")
    await desk.click("dialog button", "Add")
    await desk.says("dialog", "steps need a move since the anchor")
    assert (await desk.get("/v1/rules"))["rules"] == []
    await desk.write("recurrence", "RULE_RECURRENCE_RESET")
    await desk.write("cooldown", "15min")
    await desk.write("notes", MARKUP)
    await desk.click("dialog button", "Add")
    await desk.closed()
    await desk.says("#rules", "moves 5.00 % up or down within 1 h")
    (rule,) = (await desk.get("/v1/rules"))["rules"]
    assert (rule["window"], rule["cooldown"], rule["notes"]) == ("3600s", "900s", MARKUP)
    await desk.click("#rules button", "Edit")
    await desk.write("threshold", "7")
    await desk.click("dialog button", "Save")
    await desk.closed()
    assert (await desk.get("/v1/rules"))["rules"][0]["threshold"] == 7
    await desk.click("#rules button", "Remove")
    await desk.click("dialog button", "Remove")
    await desk.says("#rules", "No rule yet")
    assert (await desk.get("/v1/rules"))["rules"] == []

    page = await desk.show("/monitors")
    item = "[data-monitor=liquidation]"
    before = (await desk.get("/v1/monitors/liquidation"))["last_run"]["id"]
    await desk.click(f"{item} button", "Run now")
    await desk.says("#toasts", "liquidation:")
    after = (await desk.get("/v1/monitors/liquidation"))["last_run"]["id"]
    assert int(after) > int(before)
    await desk.click(f"{item} summary")
    await page.until(f"document.querySelectorAll('{item} .run').length >= 2")
    await desk.click(f"{item} button", "Settings")
    await desk.write("interval", "soon")
    await desk.click("dialog button", "Save")
    await desk.says("dialog", "is no span of time")
    await desk.write("interval", "2min")
    await desk.click("dialog button", "Save")
    await desk.closed()
    assert (await desk.get("/v1/monitors/liquidation"))["interval"] == "120s"
    await desk.put(f"{item} select", "3600s")
    await desk.says(item, "SNOOZED")
    assert "snoozed_until_time" in await desk.get("/v1/monitors/liquidation")
    await desk.click(f"{item} input[type=checkbox]")
    await desk.says(item, "DISABLED")
    assert not (await desk.get("/v1/monitors/liquidation"))["enabled"]
    assert page.problems == []


async def _told(desk: Desk, request_id: str, level: str, channel: str) -> str:
    """Sends a message whose words are markup; its id."""
    message = {
        "request_id": request_id,
        "level": level,
        "subject": MARKUP,
        "source": "test",
        "body": MARKUP,
        "channels": [channel],
    }
    return str((await desk.post("/v1/messages:send", message))["id"])


async def test_who_was_told_is_shown_try_by_try_and_ways_are_set(desk: Desk) -> None:
    # A HIGH that reached nobody would be tried for ever.
    dead = await _told(desk, "browser-1", "LEVEL_MEDIUM", "webhook")
    loud = await _told(desk, "browser-2", "LEVEL_HIGH", "log")
    page = await desk.show("/deliveries?source=test")
    await desk.says(f"[data-message='{dead}']", "DEAD")
    await desk.says("#messages", MARKUP)
    await desk.click(f"[data-message='{dead}'] summary")
    await desk.says(f"[data-message='{dead}'] .tries", "400")
    await desk.click(f"[data-message='{dead}'] button", "Send again")
    await desk.says("#toasts", "queued again")
    await desk.click(f"[data-message='{loud}'] summary")
    await desk.click(f"[data-message='{loud}'] button", "Acknowledge")
    await desk.says(f"[data-message='{loud}']", "acknowledged by dashboard")
    assert (await desk.get(f"/v1/messages/{loud}"))["acknowledged_by"] == "dashboard"
    # A test says what the channel said; settings are what is stored.
    await desk.click("[data-channel=webhook] button", "Test")
    await desk.says("#toasts", "webhook did not accept the test")
    await desk.click("[data-channel=webhook] button", "Settings")
    await desk.write("start", "22:00")
    await desk.write("end", "")
    await desk.click("dialog button", "Save")
    await desk.says("dialog", "is needed with a start")
    await desk.write("end", "07:00")
    await desk.write("zone", "Europe/Berlin")
    await desk.click("dialog button", "Save")
    await desk.closed()
    channels = {one["name"]: one for one in (await desk.get("/v1/channels"))["channels"]}
    assert channels["webhook"]["quiet_hours"] == {
        "start_minute": 1320,
        "end_minute": 420,
        "time_zone": "Europe/Berlin",
    }
    await desk.click("#levels button", "Edit")
    await desk.click("[data-field=LEVEL_LOW] label", "webhook")
    await desk.click("dialog button", "Save")
    await desk.closed()
    routes = {one["level"]: one for one in (await desk.get("/v1/levels"))["routes"]}
    assert "webhook" in routes["LEVEL_LOW"]["channels"]
    assert routes["LEVEL_HIGH"]["source"] == "SETTING_SOURCE_DEFAULT"
    await desk.click("#escalation button", "Add a contact")
    await desk.write("name", MARKUP)
    await desk.write("wait", "2min")
    await desk.write("channel_0", "webhook")
    await desk.click("dialog button", "Add")
    await desk.closed()
    (contact,) = (await desk.get("/v1/escalation"))["contacts"]
    assert (contact["name"], contact["wait"]) == (MARKUP, "120s")
    await desk.click("#escalation button", "Remove")
    await desk.click("dialog button", "Remove")
    await desk.says("#escalation", "Nobody")
    assert await page.run("document.querySelectorAll('.page img').length") == 0


async def test_a_key_never_leaves_the_browser_and_wallets_are_what_is_stored(desk: Desk) -> None:
    page = await desk.show("/wallets")
    await page.run(
        "window.sent = []; const send = window.fetch; window.fetch = (path, settings) => {"
        " if (settings?.method === 'POST') window.sent.push(settings.body);"
        " return send(path, settings); }"
    )
    for secret in (KEY, f"0x{KEY}", PHRASE, str([7] * 64).replace(" ", "")):
        await desk.click(".tools button", "Watch a wallet")
        await desk.write("name", "mine")
        await desk.write("public_address", secret)
        await desk.says("dialog", "It was not sent")
        held = "document.querySelector('[data-field=public_address] input').value"
        assert await page.run(held) == ""
        await desk.click("dialog button", "Cancel")
        await desk.closed()
    await desk.give_file("keys.csv", f"name,chain,public_address\nmine,SOLANA,{KEY}\n")
    await desk.click(".tools button", "Import")
    await desk.says("#toasts", "keys.csv was not sent")
    assert await page.run("window.sent") == []
    # One whose shape is of no address is said beside the field.
    await desk.click(".tools button", "Watch a wallet")
    await desk.write("name", MARKUP)
    await desk.write("chain", "CHAIN_ETHEREUM")
    await desk.write("public_address", "0x12")
    await desk.click("dialog button", "Watch")
    await desk.says("dialog", "is no 0x address")
    # Without a chain: an address would turn the live sources on.
    await desk.write("chain", "CHAIN_MANUAL")
    await desk.write("public_address", "")
    await desk.write("tags", "one, two")
    await desk.click("dialog button", "Watch")
    await desk.closed()
    await desk.says("#wallets", MARKUP)
    wallets = {one["name"]: one for one in (await desk.get("/v1/wallets"))["wallets"]}
    assert wallets[MARKUP]["tags"] == ["one", "two"]
    item = "[data-wallet^='<img']"
    await desk.click(f"{item} input[type=checkbox]")
    await desk.says("#toasts", "synced no more")
    await desk.click(f"{item} button", "Edit")
    await desk.write("balance_usd", "1234.5")
    await desk.click("dialog button", "Save")
    await desk.closed()
    stored = {one["name"]: one for one in (await desk.get("/v1/wallets"))["wallets"]}[MARKUP]
    assert (stored["active"], stored["balance_usd"]) == (False, 1234.5)
    await desk.click(f"{item} button", "Remove")
    await desk.click("dialog button", "Remove")
    await page.until(f'document.querySelector("{item}") === null')
    # Money elsewhere.
    await desk.click("#brokers .tools button", "Add")
    await desk.write("name", "bank")
    await desk.write("total_holding_usd", "500")
    await desk.click("dialog button", "Add")
    await desk.closed()
    await desk.says(".totals", "$500.00")
    assert (await desk.get("/v1/balances"))["total_brokers_usd"] == 500
    await desk.click("[data-broker=bank] button", "Remove")
    await desk.click("dialog button", "Remove")
    await desk.says("#brokers", "Nothing is held elsewhere")
    assert page.problems == []


async def test_hedges_and_cycles_are_shown_as_the_server_has_them(desk: Desk) -> None:
    page = await desk.show("/hedges")
    (hedge,) = (await desk.get("/v1/hedges"))["hedges"]
    corridor = await desk.get(f"/v1/hedges/{hedge['id']}/corridor")
    await page.until("document.querySelector('.axis .mark-price') !== null")
    ends = await desk.text(".ends")
    for name in ("lower_price_usd", "upper_price_usd"):
        assert f"{corridor[name]:,.2f}" in ends
    assert "stays naked" in ends and "forfeits" in ends
    await desk.says(".advice", "Delta neutral")
    await desk.click(".advice button", "collateral")
    await desk.says(".advice", "CANNOT BE MET")
    await desk.click(".hedge-card button", "Note")
    await desk.write("note", MARKUP)
    await desk.click("dialog button", "Save")
    await desk.closed()
    await desk.says(".hedge-card", MARKUP)
    assert (await desk.get("/v1/hedges"))["hedges"][0]["note"] == MARKUP
    await desk.click(".tools button", "Unlink all")
    await desk.click("dialog button", "Unlink all")
    await desk.says("#hedges", "No wallet holds both sides")
    assert (await desk.get("/v1/hedges"))["hedges"] == []
    await desk.click(".tools button", "Link now")
    await page.until("document.querySelector('.hedge-card') !== null")

    await desk.post("/v1/cycles:run", {"steps": ["UPDATE_PRICES", "NOTIFY"]})
    page = await desk.show("/cycles")
    boxes = "#cycles input[type=checkbox]"
    await page.until(f"document.querySelectorAll('{boxes}').length >= 2")
    await page.run(f"[...document.querySelectorAll('{boxes}')].slice(0, 2).forEach(b => b.click())")
    await desk.says("#compare", "not run")
    await desk.click("#schedule button", "Interval")
    await desk.write("interval", "1s")
    await desk.click("dialog button", "Save")
    await desk.says("dialog", "is at least 5 s")
    await desk.write("interval", "2min")
    await desk.click("dialog button", "Save")
    await desk.closed()
    assert (await desk.get("/v1/schedule"))["interval"] == "120s"
    newest = (await desk.get("/v1/cycles"))["cycles"][0]
    await desk.click("#cycles tbody a")
    await page.until(f"location.pathname === '/cycles/{newest['id']}'")
    await desk.says("#log", "SUCCEEDED")
    assert await page.run("document.querySelectorAll('#steps tbody tr').length") == 2
    events = (await desk.get(f"/v1/events?cycle_id={newest['id']}"))["events"]
    assert await page.run("document.querySelectorAll('#log .event').length") == len(events)
    assert page.problems == []


async def test_prices_and_the_portfolio_are_changed_by_hand(desk: Desk) -> None:
    page = await desk.show("/prices?asset=SOL")
    await page.until("document.querySelector('#chart canvas') !== null")
    await desk.says("#quotes", "USED")
    await desk.click("#history .tools button", "Insert by hand")
    await desk.write("price_usd", "-1")
    await desk.click("dialog button", "Insert")
    await desk.says("dialog", "must be above 0")
    await desk.write("price_usd", "123,5")
    await desk.click("dialog button", "Insert")
    await desk.closed()
    await desk.says("#history", "BY HAND")
    (made,) = (await desk.get("/v1/prices/SOL/history?source=MANUAL"))["records"]
    assert made["price_usd"] == 123.5
    await desk.click(f"[aria-label='Correct {made['id']}']")
    await desk.write("price_usd", "124")
    await desk.click("dialog button", "Correct")
    await desk.closed()
    (made,) = (await desk.get("/v1/prices/SOL/history?source=MANUAL"))["records"]
    assert made["price_usd"] == 124
    await desk.click(f"[aria-label='Delete {made['id']}']")
    await desk.click("dialog button", "Delete")
    await desk.says("#toasts", "was deleted")
    assert (await desk.get("/v1/prices/SOL/history?source=MANUAL"))["records"] == []

    page = await desk.show("/portfolio")
    await page.until("document.querySelector('#trend canvas') !== null")
    await page.until("document.querySelectorAll('#shock tbody tr').length === 10")
    await desk.write("of_SOL", "-90")
    await desk.click("#shock button", "Try this move")
    await desk.says("#shock tbody tr", "yours")
    await desk.click("#sessions button", "Start a session")
    await desk.write("name", MARKUP)
    await desk.click("dialog button", "Start")
    await desk.closed()
    await desk.says("#sessions", "OPEN")
    await desk.click("#sessions button", "Stop")
    await desk.click("dialog button", "Stop")
    await page.until("!document.querySelector('#sessions').innerText.includes('OPEN')")
    (session,) = (await desk.get("/v1/sessions"))["sessions"]
    assert (session["name"], session["status"]) == (MARKUP, "SESSION_STATUS_CLOSED")
    await desk.click("#strategy button", "Edit")
    await desk.write("start_value_usd", "10000")
    await desk.click("dialog button", "Save")
    await desk.closed()
    await desk.says("#strategy", "$10,000.00")
    await desk.click("#snapshots .tools button", "Enter by hand")
    await desk.write("total_value_usd", "777")
    await desk.click("dialog button", "Add")
    await desk.closed()
    await desk.says("#snapshots", "BY HAND")
    (made,) = (await desk.get("/v1/snapshots?manual_only=true"))["snapshots"]
    await desk.click(f"[aria-label='Delete snapshot {made['id']}']")
    await desk.click("dialog button", "Delete")
    await desk.says("#toasts", "snapshot was deleted")
    assert (await desk.get("/v1/snapshots?manual_only=true"))["snapshots"] == []
    assert page.problems == []


async def test_the_log_follows_and_a_service_that_hangs_is_said_in_its_panel_alone(
    desk: Desk,
) -> None:
    page = await desk.show("/logs?source=notify")
    await page.until("document.querySelectorAll('.event').length === 1")
    await desk.post("/v1/cycles:run", {"steps": ["NOTIFY"]})
    await page.until("document.querySelectorAll('.event').length === 2")
    await desk.put("[role=search] label:nth-of-type(3) input", "no line says this")
    await desk.says("#logs", "No line fits.")
    await page.until("location.search.includes('text=no')")

    page = await desk.show("/portfolio")
    await desk.says("#shock", "−50")
    page = await desk.show("/prices")
    desk.running.kill("price", signal.SIGSTOP)
    try:
        await page.until("document.querySelector('#prices .trouble').innerText.startsWith('old')")
        assert "BTC" in await desk.text("#prices")
    finally:
        desk.running.kill("price", signal.SIGCONT)
    await page.until("document.querySelector('#prices .trouble').innerText === ''")


async def test_no_page_sticks_out_on_a_phone(desk: Desk) -> None:
    cycle = (await desk.get("/v1/cycles"))["cycles"][0]["id"]
    paths = ["thresholds", "rules", "monitors", "deliveries", "hedges", "wallets", "cycles"]
    for path in [*paths, f"cycles/{cycle}", "prices", "portfolio", "logs"]:
        page = await desk.show(f"/{path}", 390, 844)
        for width in (390, 360, 700):
            await page.size(width, 844)
            assert await page.run("document.documentElement.scrollWidth") <= width, (path, width)
        assert await page.run("document.querySelectorAll('main h1').length") == 1, path
        assert page.problems == [], path
