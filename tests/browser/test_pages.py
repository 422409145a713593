"""Rules, monitors, deliveries, wallets, hedges, cycles, prices, portfolio and logs:
what is done in a browser is looked up in the store. Needs a Chromium; without one it is skipped,
and counted so.
"""

from __future__ import annotations

import signal

from tests.browser.visit import MARKUP, NEEDS_BROWSER, Visit, refusing, visit
from tests.chaos.conftest import home

__all__ = ["home", "refusing", "visit"]

KEY = "4f" * 32
PHRASE = "abandon " * 11 + "about"

pytestmark = NEEDS_BROWSER


async def test_rules_and_monitors_are_edited_to_what_is_stored(visit: Visit) -> None:
    page = await visit.show("/rules")
    await visit.click(".tools button", "New rule")
    await visit.write("asset", "BTC")
    await visit.write("threshold", "5")
    await visit.write("recurrence", "RULE_RECURRENCE_LADDER")
    await visit.write("window", "3600s")
    await visit.click("dialog button", "Add")
    await visit.says("dialog", "steps need a move since the anchor")
    assert (await visit.get("/v1/rules"))["rules"] == []
    await visit.write("recurrence", "RULE_RECURRENCE_RESET")
    await visit.write("cooldown", "15min")
    await visit.write("notes", MARKUP)
    await visit.click("dialog button", "Add")
    await visit.closed()
    await visit.says("#rules", "moves 5.00 % up or down within 1 h")
    (rule,) = (await visit.get("/v1/rules"))["rules"]
    assert (rule["window"], rule["cooldown"], rule["notes"]) == ("3600s", "900s", MARKUP)
    await visit.click("#rules button", "Edit")
    await visit.write("threshold", "7")
    await visit.click("dialog button", "Save")
    await visit.closed()
    assert (await visit.get("/v1/rules"))["rules"][0]["threshold"] == 7
    await visit.click("#rules button", "Remove")
    await visit.click("dialog button", "Remove")
    await visit.says("#rules", "No rule yet")
    assert (await visit.get("/v1/rules"))["rules"] == []

    page = await visit.show("/monitors")
    item = "[data-monitor=liquidation]"
    before = (await visit.get("/v1/monitors/liquidation"))["last_run"]["id"]
    await visit.click(f"{item} button", "Run now")
    await visit.says("#toasts", "liquidation:")
    after = (await visit.get("/v1/monitors/liquidation"))["last_run"]["id"]
    assert int(after) > int(before)
    await visit.click(f"{item} summary")
    await page.until(f"document.querySelectorAll('{item} .run').length >= 2")
    await visit.click(f"{item} button", "Settings")
    await visit.write("interval", "soon")
    await visit.click("dialog button", "Save")
    await visit.says("dialog", "is no span of time")
    await visit.write("interval", "2min")
    await visit.click("dialog button", "Save")
    await visit.closed()
    assert (await visit.get("/v1/monitors/liquidation"))["interval"] == "120s"
    await visit.click(f"{item} button", "Snooze")
    await visit.write("duration", "3600s")
    await visit.click("dialog button", "Snooze")
    await visit.closed()
    await visit.says(item, "SNOOZED")
    assert "snoozed_until_time" in await visit.get("/v1/monitors/liquidation")
    await visit.click(f"{item} input[type=checkbox]")
    await visit.says(item, "DISABLED")
    assert not (await visit.get("/v1/monitors/liquidation"))["enabled"]
    assert page.problems == []


async def _told(visit: Visit, request_id: str, level: str, channel: str) -> str:
    """Sends a message whose words are markup; its id."""
    message = {
        "request_id": request_id,
        "level": level,
        "subject": MARKUP,
        "source": "test",
        "body": MARKUP,
        "channels": [channel],
    }
    return str((await visit.post("/v1/messages:send", message))["id"])


async def test_who_was_told_is_shown_try_by_try_and_ways_are_set(visit: Visit) -> None:
    refused = await _told(visit, "browser-1", "LEVEL_MEDIUM", "webhook")
    loud = await _told(visit, "browser-2", "LEVEL_HIGH", "log")
    page = await visit.show("/deliveries?source=test")
    await visit.says("#messages", MARKUP)
    await visit.click(f"[data-message='{refused}'] summary")
    await visit.says(f"[data-message='{refused}'] .tries", "refused")
    await visit.says(f"[data-message='{refused}'] .tries", "400")
    await visit.click(f"[data-message='{loud}'] summary")
    await visit.click(f"[data-message='{loud}'] button", "Acknowledge")
    await visit.says(f"[data-message='{loud}']", "acknowledged by dashboard")
    assert (await visit.get(f"/v1/messages/{loud}"))["acknowledged_by"] == "dashboard"
    # A test says what the channel said; settings are what is stored.
    await visit.click("[data-channel=webhook] button", "Test")
    await visit.says("#toasts", "webhook did not accept the test")
    await visit.click("[data-channel=webhook] button", "Settings")
    await visit.write("start", "22:00")
    await visit.write("end", "")
    await visit.click("dialog button", "Save")
    await visit.says("dialog", "is needed with a start")
    await visit.write("end", "07:00")
    await visit.write("zone", "Europe/Berlin")
    await visit.click("dialog button", "Save")
    await visit.closed()
    channels = {one["name"]: one for one in (await visit.get("/v1/channels"))["channels"]}
    assert channels["webhook"]["quiet_hours"] == {
        "start_minute": 1320,
        "end_minute": 420,
        "time_zone": "Europe/Berlin",
    }
    await visit.click("#levels button", "Edit")
    await visit.click("[data-field=LEVEL_LOW] label", "webhook")
    await visit.click("dialog button", "Save")
    await visit.closed()
    routes = {one["level"]: one for one in (await visit.get("/v1/levels"))["routes"]}
    assert "webhook" in routes["LEVEL_LOW"]["channels"]
    assert routes["LEVEL_HIGH"]["source"] == "SETTING_SOURCE_DEFAULT"
    await visit.click("#escalation button", "Add a contact")
    await visit.write("name", MARKUP)
    await visit.write("wait", "2min")
    await visit.write("channel_0", "webhook")
    await visit.click("dialog button", "Add")
    await visit.closed()
    (contact,) = (await visit.get("/v1/escalation"))["contacts"]
    assert (contact["name"], contact["wait"]) == (MARKUP, "120s")
    await visit.click("#escalation button", "Remove")
    await visit.click("dialog button", "Remove")
    await visit.says("#escalation", "Nobody")
    assert await page.run("document.querySelectorAll('.page img').length") == 0


async def test_a_key_never_leaves_the_browser_and_wallets_are_what_is_stored(visit: Visit) -> None:
    page = await visit.show("/wallets")
    await page.run(
        "window.sent = []; const send = window.fetch; window.fetch = (path, settings) => {"
        " if (settings?.method === 'POST') window.sent.push(settings.body);"
        " return send(path, settings); }"
    )
    for secret in (KEY, f"0x{KEY}", PHRASE, str([7] * 64).replace(" ", "")):
        await visit.click(".tools button", "Watch a wallet")
        await visit.write("name", "mine")
        await visit.write("public_address", secret)
        await visit.says("dialog", "It was not sent")
        held = "document.querySelector('[data-field=public_address] input').value"
        assert await page.run(held) == ""
        await visit.click("dialog button", "Cancel")
        await visit.closed()
    await visit.give_file("keys.csv", f"name,chain,public_address\nmine,SOLANA,{KEY}\n")
    await visit.click(".tools button", "Import")
    await visit.says("#toasts", "keys.csv was not sent")
    assert await page.run("window.sent") == []
    # One whose shape is of no address is said beside the field.
    await visit.click(".tools button", "Watch a wallet")
    await visit.write("name", MARKUP)
    await visit.write("chain", "CHAIN_ETHEREUM")
    await visit.write("public_address", "0x12")
    await visit.click("dialog button", "Watch")
    await visit.says("dialog", "is no 0x address")
    # Without a chain: an address would turn the live sources on.
    await visit.write("chain", "CHAIN_MANUAL")
    await visit.write("public_address", "")
    await visit.write("tags", "one, two")
    await visit.click("dialog button", "Watch")
    await visit.closed()
    await visit.says("#wallets", MARKUP)
    wallets = {one["name"]: one for one in (await visit.get("/v1/wallets"))["wallets"]}
    assert wallets[MARKUP]["tags"] == ["one", "two"]
    item = "[data-wallet^='<img']"
    await visit.click(f"{item} input[type=checkbox]")
    # What was done is said for six seconds only: the store is looked up.
    await page.until(
        "fetch('/v1/wallets').then(told => told.json()).then(told => told.wallets.some("
        "one => one.name.startsWith('<img') && !one.active))"
    )
    await visit.click(f"{item} button", "Edit")
    await visit.write("balance_usd", "1234.5")
    await visit.click("dialog button", "Save")
    await visit.closed()
    stored = {one["name"]: one for one in (await visit.get("/v1/wallets"))["wallets"]}[MARKUP]
    assert (stored["active"], stored["balance_usd"]) == (False, 1234.5)
    await visit.click(f"{item} button", "Remove")
    await visit.click("dialog button", "Remove")
    await page.until(f'document.querySelector("{item}") === null')
    # Money elsewhere.
    await visit.click("#brokers .tools button", "Add")
    await visit.write("name", "bank")
    await visit.write("total_holding_usd", "500")
    await visit.click("dialog button", "Add")
    await visit.closed()
    await visit.says(".totals", "$500.00")
    assert (await visit.get("/v1/balances"))["total_brokers_usd"] == 500
    await visit.click("[data-broker=bank] button", "Remove")
    await visit.click("dialog button", "Remove")
    await visit.says("#brokers", "Nothing is held elsewhere")
    assert page.problems == []


async def test_hedges_and_cycles_are_shown_as_the_server_has_them(visit: Visit) -> None:
    page = await visit.show("/hedges")
    (hedge,) = (await visit.get("/v1/hedges"))["hedges"]
    corridor = await visit.get(f"/v1/hedges/{hedge['id']}/corridor")
    await page.until("document.querySelector('.axis .mark-price') !== null")
    ends = await visit.text(".ends")
    for name in ("lower_price_usd", "upper_price_usd"):
        assert f"{corridor[name]:,.2f}" in ends
    assert "stays naked" in ends and "forfeits" in ends
    await visit.says(".advice", "Delta neutral")
    await visit.click(".advice button", "collateral")
    await visit.says(".advice", "CANNOT BE MET")
    await visit.click(".hedge-card button", "Note")
    await visit.write("note", MARKUP)
    await visit.click("dialog button", "Save")
    await visit.closed()
    await visit.says(".hedge-card", MARKUP)
    assert (await visit.get("/v1/hedges"))["hedges"][0]["note"] == MARKUP
    await visit.click(".tools button", "Unlink all")
    await visit.click("dialog button", "Unlink all")
    await visit.says("#hedges", "No wallet holds both sides")
    assert (await visit.get("/v1/hedges"))["hedges"] == []
    await visit.click(".tools button", "Link now")
    await page.until("document.querySelector('.hedge-card') !== null")

    await visit.post("/v1/cycles:run", {"steps": ["UPDATE_PRICES", "NOTIFY"]})
    page = await visit.show("/cycles")
    await visit.says("#streams", "SONIC_STREAMS=1")
    boxes = "#cycles input[type=checkbox]"
    await page.until(f"document.querySelectorAll('{boxes}').length >= 2")
    await page.run(f"[...document.querySelectorAll('{boxes}')].slice(0, 2).forEach(b => b.click())")
    await visit.says("#compare", "not run")
    await visit.click("#schedule button", "Interval")
    await visit.write("interval", "1s")
    await visit.click("dialog button", "Save")
    await visit.says("dialog", "is at least 5 s")
    await visit.write("interval", "2min")
    await visit.click("dialog button", "Save")
    await visit.closed()
    assert (await visit.get("/v1/schedule"))["interval"] == "120s"
    newest = (await visit.get("/v1/cycles"))["cycles"][0]
    await visit.click("#cycles tbody a")
    await page.until(f"location.pathname === '/cycles/{newest['id']}'")
    await visit.says("#log", "SUCCEEDED")
    assert await page.run("document.querySelectorAll('#steps tbody tr').length") == 2
    lefts = "[...document.querySelectorAll('#steps tr > :last-child')]"
    assert (
        await page.run(
            f"new Set({lefts}.map(cell => Math.round(cell.getBoundingClientRect().left))).size"
        )
        == 1
    )
    events = (await visit.get(f"/v1/events?cycle_id={newest['id']}"))["events"]
    assert await page.run("document.querySelectorAll('#log .event').length") == len(events)
    assert page.problems == []


async def test_prices_and_the_portfolio_are_changed_by_hand(visit: Visit) -> None:
    page = await visit.show("/prices?asset=SOL")
    await page.until("document.querySelector('#chart canvas') !== null")
    await visit.says("#quotes", "USED")
    await visit.click("#history .tools button", "Insert by hand")
    await visit.write("price_usd", "-1")
    await visit.click("dialog button", "Insert")
    await visit.says("dialog", "must be above 0")
    await visit.write("price_usd", "123,5")
    await visit.click("dialog button", "Insert")
    await visit.closed()
    await visit.says("#history", "BY HAND")
    (made,) = (await visit.get("/v1/prices/SOL/history?source=MANUAL"))["records"]
    assert made["price_usd"] == 123.5
    await visit.click(f"[aria-label='Correct {made['id']}']")
    await visit.write("price_usd", "124")
    await visit.click("dialog button", "Correct")
    await visit.closed()
    (made,) = (await visit.get("/v1/prices/SOL/history?source=MANUAL"))["records"]
    assert made["price_usd"] == 124
    await visit.click(f"[aria-label='Delete {made['id']}']")
    await visit.click("dialog button", "Delete")
    await visit.says("#toasts", "was deleted")
    assert (await visit.get("/v1/prices/SOL/history?source=MANUAL"))["records"] == []

    page = await visit.show("/portfolio")
    await page.until("document.querySelector('#trend canvas') !== null")
    await page.until("document.querySelectorAll('#shock tbody tr').length === 10")
    await visit.write("of_SOL", "-90")
    await visit.click("#shock button", "Try this move")
    await visit.says("#shock tbody tr", "yours")
    await visit.click("#sessions button", "Start a session")
    await visit.write("name", MARKUP)
    await visit.click("dialog button", "Start")
    await visit.closed()
    await visit.says("#sessions", "OPEN")
    await visit.click("#sessions button", "Stop")
    await visit.click("dialog button", "Stop")
    await page.until("!document.querySelector('#sessions').innerText.includes('OPEN')")
    (session,) = (await visit.get("/v1/sessions"))["sessions"]
    assert (session["name"], session["status"]) == (MARKUP, "SESSION_STATUS_ENDED")
    await visit.click("#strategy button", "Edit")
    await visit.write("start_value_usd", "10000")
    await visit.click("dialog button", "Save")
    await visit.closed()
    await visit.says("#strategy", "$10,000.00")
    await visit.click("#snapshots .tools button", "Enter by hand")
    await visit.write("total_value_usd", "777")
    await visit.click("dialog button", "Add")
    await visit.closed()
    await visit.says("#snapshots", "BY HAND")
    (made,) = (await visit.get("/v1/snapshots?manual_only=true"))["snapshots"]
    await visit.click(f"[aria-label='Delete snapshot {made['id']}']")
    await visit.click("dialog button", "Delete")
    await visit.says("#toasts", "snapshot was deleted")
    assert (await visit.get("/v1/snapshots?manual_only=true"))["snapshots"] == []
    assert page.problems == []


async def test_the_log_follows_and_a_service_that_hangs_is_said_in_its_panel_alone(
    visit: Visit,
) -> None:
    page = await visit.show("/logs?source=notify")
    await page.until("document.querySelectorAll('.event').length === 1")
    await visit.post("/v1/cycles:run", {"steps": ["NOTIFY"]})
    await page.until("document.querySelectorAll('.event').length === 2")
    await visit.put("[role=search] label:nth-of-type(3) input", "no line says this")
    await visit.says("#logs", "No line fits.")
    await page.until("location.search.includes('text=no')")

    page = await visit.show("/portfolio")
    await visit.says("#shock", "−50")
    page = await visit.show("/prices")
    visit.running.kill("price", signal.SIGSTOP)
    try:
        await page.until("document.querySelector('#prices .trouble').innerText.startsWith('old')")
        assert "BTC" in await visit.text("#prices")
    finally:
        visit.running.kill("price", signal.SIGCONT)
    await page.until("document.querySelector('#prices .trouble').innerText === ''")


async def test_pages_left_by_their_address_hold_no_connection_of_the_next_one(
    visit: Visit,
) -> None:
    """A browser has six for all of a site, and keeps pages for the way back."""
    waited = "performance.getEntriesByType('navigation')[0].responseStart"
    for path in ("/", "/alerts", "/prices", "/monitors", "/thresholds", "/cycles", "/alerts", "/"):
        page = await visit.show(path)
        await page.until("performance.getEntriesByName(location.origin + '/v1/mode').length > 0")
        assert await page.run(waited) < 5000
