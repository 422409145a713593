"""What is held: wallets, hedges, prices, the portfolio, withdrawals, one position."""

from __future__ import annotations

import json
from typing import Any

from tests.browser.keyboard import Act, Keyboard
from tests.browser.visit import PAST, WALLET


async def a_wallet_is_watched_edited_set_aside_and_removed(keys: Keyboard) -> None:
    def mine(told: dict[str, Any]) -> list[dict[str, Any]]:
        return [row for row in told["wallets"] if row["name"] == "by-keys"]

    await keys.open("/wallets")
    await keys.press("Watch a wallet")
    await keys.asked("Watch a wallet")
    await keys.write("Name", "by-keys")
    await keys.choose("Chain", "none: positions by hand")
    await keys.write("Tags", "quiet")
    await keys.page.key("Enter")
    (made,) = mine(await keys.stored("/v1/wallets", lambda told: bool(mine(told))))
    assert (made["active"], made["tags"]) == (True, ["quiet"])
    await keys.keeps_its_place()
    item = "[data-wallet='by-keys']"
    await keys.press("is synced", item, "Space")
    await keys.stored("/v1/wallets", lambda told: not mine(told)[0]["active"])
    await keys.keeps_its_place()
    await keys.press("Edit", item)
    await keys.asked("Wallet by-keys")
    await keys.write("Balance", "12.5")
    await keys.page.key("Enter")
    await keys.stored("/v1/wallets", lambda told: mine(told)[0].get("balance_usd") == 12.5)
    await keys.keeps_its_place()
    await keys.press("Remove", item)
    await keys.asked("Remove by-keys?")
    await keys.press("Remove", "dialog")
    await keys.stored("/v1/wallets", lambda told: mine(told) == [])


async def wallets_go_to_a_file_and_come_from_one(keys: Keyboard) -> None:
    def mine(told: dict[str, Any]) -> list[dict[str, Any]]:
        return [row for row in told["wallets"] if row["name"] == "from-a-file"]

    await keys.open("/wallets")
    await keys.press("Export CSV", "#wallets")
    assert (await keys.file("sonic-wallets.csv")).startswith("name,")
    await keys.press("Export JSON", "#wallets")
    sent = json.loads(await keys.file("sonic-wallets.json"))
    assert WALLET in [row["name"] for row in sent["wallets"]]
    await keys.keeps_its_place()
    await keys.visit.give_file("mine.csv", "name,chain\nfrom-a-file,MANUAL\n")
    await keys.press("Import", "#wallets")
    await keys.asked("Import wallets?")
    await keys.visit.says("dialog", "1 new")
    await keys.press("Import", "dialog")
    await keys.stored("/v1/wallets", lambda told: len(mine(told)) == 1)
    await keys.keeps_its_place()
    await keys.press("Remove", "[data-wallet='from-a-file']")
    await keys.asked("Remove from-a-file?")
    await keys.press("Remove", "dialog")
    await keys.stored("/v1/wallets", lambda told: mine(told) == [])


async def money_elsewhere_is_entered_and_taken_out(keys: Keyboard) -> None:
    await keys.open("/wallets")
    await keys.press("Add", "#brokers")
    await keys.asked("Money held elsewhere")
    await keys.write("Name", "bank")
    await keys.write("Held there", "500")
    await keys.page.key("Enter")
    await keys.stored("/v1/brokers", lambda told: len(told["brokers"]) == 1)
    await keys.keeps_its_place()
    await keys.press("Remove bank", "#brokers")
    await keys.asked("Remove bank?")
    await keys.press("Remove", "dialog")
    await keys.stored("/v1/brokers", lambda told: told["brokers"] == [])


async def withdrawals_are_judged_and_synchronised(keys: Keyboard) -> None:
    path = "/v1/withdrawals/decisions?page_size=1"
    before = (await keys.visit.get(path))["decisions"][0]["evaluated_time"]
    await keys.open("/withdrawals")
    await keys.choose("Range", "7 days", ".choices")
    await keys.page.until("location.search.includes('range=7d')")
    await keys.press("Evaluate now", "#decision-panel")
    await keys.stored(path, lambda told: told["decisions"][0]["evaluated_time"] > before)
    await keys.press("Sync transactions", "#decision-panel")
    await keys.visit.says("#asked", "Simulated supply")


async def hedges_are_noted_unlinked_and_linked(keys: Keyboard) -> None:
    await keys.open("/hedges")
    await keys.press("Note", ".hedge-card")
    await keys.asked("Note of the")
    await keys.write("Note", "by keys")
    await keys.press("Save", "dialog")
    await keys.stored("/v1/hedges", lambda told: bool(told["hedges"][0]["note"] == "by keys"))
    await keys.keeps_its_place()
    await keys.press("Unlink all")
    await keys.asked("Unlink every hedge?")
    await keys.press("Unlink all", "dialog")
    await keys.stored("/v1/hedges", lambda told: told["hedges"] == [])
    await keys.keeps_its_place()
    await keys.press("Link now")
    await keys.stored("/v1/hedges", lambda told: told["hedges"] != [])


async def the_ladder_of_a_hedge_is_read(keys: Keyboard) -> None:
    """Three members: beyond an end of the corridor there is a further step."""
    prices = (await keys.visit.get("/v1/prices"))["prices"]
    price = next(one["price_usd"] for one in prices if one["asset"] == "ETH")
    await keys.visit.post("/v1/wallets", {"name": "ladder", "chain": "CHAIN_MANUAL"})
    for name, side, ends in (("a", "LONG", 0.8), ("b", "LONG", 0.7), ("c", "SHORT", 1.2)):
        position = {
            "id": f"ladder-{name}",
            "wallet": "ladder",
            "venue": "manual",
            "asset": "ETH",
            "side": f"SIDE_{side}",
            "entry_price_usd": price,
            "mark_price_usd": price,
            "liquidation_price_usd": price * ends,
            "size_usd": 2000,
            "collateral_usd": 600,
        }
        await keys.visit.post("/v1/positions", position)
    await keys.visit.post("/v1/cycles:run", {})
    found = await keys.stored(
        "/v1/hedges", lambda told: any(one["wallet"] == "ladder" for one in told["hedges"])
    )
    id_ = next(one["id"] for one in found["hedges"] if one["wallet"] == "ladder")
    await keys.open("/hedges")
    card = f"[data-hedge='{id_}']"
    await keys.page.until(f"document.querySelector({card!r} + ' .grid') !== null")
    await keys.to("Ladder", card)
    said = await keys.page.run("document.activeElement.innerText")
    assert "ladder-a" in said and "ladder-b" in said
    await keys.visit.web.delete("/v1/wallets/ladder?force=true")
    await keys.visit.post("/v1/hedges:link", {})


async def a_price_is_entered_corrected_and_deleted(keys: Keyboard) -> None:
    path = "/v1/prices/BTC/history?source=MANUAL"
    await keys.open("/prices?asset=BTC")
    await keys.press("Insert by hand", "#history")
    await keys.asked("A price of BTC")
    await keys.write("Price", "123")
    await keys.page.key("Enter")
    (made,) = (await keys.stored(path, lambda told: len(told["records"]) == 1))["records"]
    await keys.keeps_its_place()
    await keys.press(f"Correct {made['id']}", "#history")
    await keys.asked("Correct a price")
    await keys.write("Price", "124.5")
    await keys.page.key("Enter")
    await keys.stored(path, lambda told: bool(told["records"][0]["price_usd"] == 124.5))
    await keys.keeps_its_place()
    await keys.press(f"Delete {made['id']}", "#history")
    await keys.asked("Delete this price?")
    await keys.press("Delete", "dialog")
    await keys.stored(path, lambda told: told["records"] == [])


async def a_session_is_started_and_stopped(keys: Keyboard) -> None:
    await keys.open("/portfolio")
    await keys.press("Start a session", "#sessions")
    await keys.asked("Start a session")
    await keys.write("Name", "by keys")
    await keys.page.key("Enter")
    await keys.stored("/v1/sessions", lambda told: len(told["sessions"]) == 1)
    await keys.keeps_its_place()
    await keys.press("Stop", "#sessions")
    await keys.asked("Stop this session?")
    await keys.press("Stop", "dialog")
    await keys.stored(
        "/v1/sessions", lambda told: bool(told["sessions"][0]["status"] == "SESSION_STATUS_ENDED")
    )


async def the_strategy_is_changed(keys: Keyboard) -> None:
    await keys.open("/portfolio")
    await keys.press("Edit", "#strategy")
    await keys.asked("Strategy")
    await keys.write("Start value", "10000")
    await keys.write("Description", "by keys")
    await keys.press("Save", "dialog")
    told = await keys.stored("/v1/strategy", lambda told: told.get("start_value_usd") == 10000)
    assert told["description"] == "by keys"
    await keys.visit.says("#strategy", "$10,000.00")


async def a_snapshot_is_entered_and_deleted(keys: Keyboard) -> None:
    path = "/v1/snapshots?manual_only=true"
    await keys.open("/portfolio")
    await keys.press("Enter by hand", "#snapshots")
    await keys.asked("A snapshot by hand")
    await keys.write("Value", "777")
    await keys.page.key("Enter")
    (made,) = (await keys.stored(path, lambda told: len(told["snapshots"]) == 1))["snapshots"]
    await keys.keeps_its_place()
    await keys.press(f"Delete snapshot {made['id']}", "#snapshots")
    await keys.asked("Delete this snapshot?")
    await keys.press("Delete", "dialog")
    await keys.stored(path, lambda told: told["snapshots"] == [])


async def what_would_be_at_another_price_is_shown(keys: Keyboard) -> None:
    await keys.open(f"/positions/{PAST}")
    await keys.to("Price to look at", "#what-panel")
    before = await keys.visit.text(".what-if output")
    for _ in range(3):
        await keys.page.key("ArrowRight")
    await keys.page.until(f"document.querySelector('.what-if output').innerText !== {before!r}")


ACTS: tuple[Act, ...] = (
    a_wallet_is_watched_edited_set_aside_and_removed,
    wallets_go_to_a_file_and_come_from_one,
    money_elsewhere_is_entered_and_taken_out,
    withdrawals_are_judged_and_synchronised,
    hedges_are_noted_unlinked_and_linked,
    the_ladder_of_a_hedge_is_read,
    a_price_is_entered_corrected_and_deleted,
    a_session_is_started_and_stopped,
    the_strategy_is_changed,
    a_snapshot_is_entered_and_deleted,
    what_would_be_at_another_price_is_shown,
)
