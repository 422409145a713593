"""What judges and what was judged: thresholds, price rules, alerts, the ledger."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.browser.keyboard import Act, Keyboard

HEAT = "HEAT_INDEX-POSITION-ABOVE"
ROW = f"[data-id={HEAT}]"


def _one(rows: list[dict[str, Any]], **wanted: object) -> dict[str, Any]:
    found = [row for row in rows if all(row.get(name) == wanted[name] for name in wanted)]
    assert len(found) == 1, (wanted, found)
    return found[0]


async def _limits(keys: Keyboard, *limits: float) -> None:
    await keys.stored(
        "/v1/thresholds?page_size=500",
        lambda told: (
            [_one(told["thresholds"], id=HEAT)[name] for name in ("low", "medium", "high")]
            == list(limits)
        ),
    )


async def thresholds_are_edited_and_go_back_to_the_default(keys: Keyboard) -> None:
    await keys.open("/thresholds")
    await keys.write("high", "61", ROW)
    await keys.page.key("Enter")
    await _limits(keys, 30, 40, 61)
    await keys.press("Default", ROW)
    await keys.asked("back to the default")
    await keys.press("Back to the default", "dialog")
    await _limits(keys, 30, 40, 50)


async def thresholds_are_saved_by_their_button_and_switched_off(keys: Keyboard) -> None:
    await keys.open("/thresholds")
    await keys.write("medium", "41", ROW)
    await keys.press("Save", ROW)
    await _limits(keys, 30, 41, 50)
    await keys.press("judges", ROW, "Space")
    await keys.stored("/v1/thresholds?page_size=500", lambda told: not _enabled(told))
    await keys.press("judges", ROW, "Space")
    await keys.stored("/v1/thresholds?page_size=500", _enabled)


def _enabled(told: dict[str, Any]) -> bool:
    return bool(_one(told["thresholds"], id=HEAT)["enabled"])


async def an_earlier_version_of_the_thresholds_is_restored(keys: Keyboard) -> None:
    await keys.visit.web.patch(f"/v1/thresholds/{HEAT}?update_mask=high", json={"high": 62})
    await keys.visit.web.patch(f"/v1/thresholds/{HEAT}?update_mask=high", json={"high": 63})
    await keys.open("/thresholds")
    await keys.press("Versions")
    await keys.asked("Versions of the thresholds")
    await keys.press("Restore", "dialog li:nth-of-type(2)")
    await keys.asked("Back to version")
    await keys.press("Restore", "dialog:last-of-type")
    await keys.stored(
        "/v1/thresholds?page_size=500",
        lambda told: bool(_one(told["thresholds"], id=HEAT)["high"] == 62),
    )


async def limits_of_one_asset_come_and_go(keys: Keyboard) -> None:
    path = "/v1/thresholds?page_size=500"

    def own(told: dict[str, Any]) -> list[dict[str, Any]]:
        return [row for row in told["thresholds"] if row["asset"] == "BTC"]

    await keys.open("/thresholds")
    await keys.press("Limits for one asset")
    await keys.asked("Limits for one asset")
    await keys.choose("Asset", "BTC")
    await keys.write("high", "3")
    await keys.page.key("Enter")
    (made,) = own(await keys.stored(path, lambda told: len(own(told)) == 1))
    assert made["high"] == 3
    await keys.visit.closed()
    await keys.press("Remove", f"[data-id='{made['id']}']")
    await keys.asked("Remove the limits")
    await keys.press("Remove", "dialog")
    await keys.stored(path, lambda told: own(told) == [])


async def thresholds_go_to_a_file_and_come_from_one(keys: Keyboard) -> None:
    path = "/v1/thresholds?page_size=500"
    await keys.open("/thresholds")
    await keys.press("Export")
    sent = json.loads(await keys.file("sonic-thresholds.json"))
    heat = _one(sent["thresholds"], type="HEAT_INDEX", **{"class": "POSITION"})
    held = _one((await keys.visit.get(path))["thresholds"], id=HEAT)
    assert [heat[name] for name in ("low", "medium", "high")] == [
        held[name] for name in ("low", "medium", "high")
    ]
    await keys.keeps_its_place()
    heat["high"] = 64
    await keys.visit.give_file("mine.json", json.dumps(sent))
    await keys.press("Import")
    await keys.asked("Import thresholds?")
    await keys.visit.says("dialog", "1 would change")
    await keys.press("Import", "dialog")
    await keys.stored(path, lambda told: bool(_one(told["thresholds"], id=HEAT)["high"] == 64))
    await keys.keeps_its_place()
    await keys.press("Default", ROW)
    await keys.asked("back to the default")
    await keys.press("Back to the default", "dialog")
    await keys.stored(path, lambda told: bool(_one(told["thresholds"], id=HEAT)["high"] == 50))


async def a_price_rule_tells_at_every_step(keys: Keyboard) -> None:
    await keys.open("/rules")
    await keys.press("New rule")
    await keys.asked("New price rule")
    await keys.choose("Asset", "BTC")
    await keys.write("How much", "2")
    await keys.choose("Told", "again, at every further step")
    await keys.press("Add", "dialog")
    (made,) = (await keys.stored("/v1/rules", lambda told: len(told["rules"]) == 1))["rules"]
    assert made["recurrence"] == "RULE_RECURRENCE_LADDER" and made["enabled"], made
    await keys.keeps_its_place()
    await keys.press("Edit", "#rules article")
    await keys.asked("Rule of BTC")
    await keys.press("Judges", "dialog", "Space")
    await keys.press("Save", "dialog")
    await keys.stored("/v1/rules", lambda told: not told["rules"][0]["enabled"])
    await keys.visit.says("#rules article", "OFF")
    await keys.keeps_its_place()
    await keys.press("Remove", "#rules article")
    await keys.asked("Remove this rule?")
    await keys.press("Remove", "dialog")
    await keys.stored("/v1/rules", lambda told: told["rules"] == [])


async def a_price_rule_is_made_edited_and_removed(keys: Keyboard) -> None:
    await keys.open("/rules")
    await keys.press("New rule")
    await keys.asked("New price rule")
    await keys.choose("Asset", "SOL")
    await keys.write("How much", "4")
    await keys.press("Add", "dialog")
    found = await keys.stored("/v1/rules", lambda told: len(told["rules"]) == 1)
    assert (found["rules"][0]["asset"], found["rules"][0]["threshold"]) == ("SOL", 4)
    await keys.keeps_its_place()
    await keys.press("Edit", "#rules article")
    await keys.asked("Rule of SOL")
    await keys.write("How much", "6")
    await keys.page.key("Enter")
    await keys.stored("/v1/rules", lambda told: bool(told["rules"][0]["threshold"] == 6))
    # What is removed is what was read, and not what it was before.
    await keys.visit.says("#rules article", "6.00 %")
    await keys.keeps_its_place()
    await keys.press("Versions")
    await keys.asked("Versions of the price rules")
    await keys.press("Restore", "dialog li:nth-of-type(2)")
    await keys.asked("Back to version")
    await keys.press("Restore", "dialog:last-of-type")
    await keys.stored("/v1/rules", lambda told: bool(told["rules"][0]["threshold"] == 4))
    await keys.visit.closed()
    await keys.press("Remove", "#rules article")
    await keys.asked("Remove this rule?")
    await keys.press("Remove", "dialog")
    await keys.stored("/v1/rules", lambda told: told["rules"] == [])


async def an_alert_is_acknowledged_silenced_and_told_again(keys: Keyboard) -> None:
    await keys.open("/alerts?alert_class=ALERT_CLASS_POSITION")
    id_ = str(await keys.page.run("document.querySelector('[data-alert]').dataset.alert"))
    item = f"[data-alert='{id_}']"

    async def becomes(status: str) -> None:
        await keys.stored(
            f"/v1/alerts/{id_}", lambda told: bool(told["status"] == f"ALERT_STATUS_{status}")
        )
        await keys.visit.says(item, "" if status == "ACTIVE" else status)
        await keys.keeps_its_place()

    await keys.press("Acknowledge", item)
    await becomes("ACKNOWLEDGED")
    await keys.press("Silence for 1 h", item)
    await becomes("SILENCED")
    await keys.press("Tell again", item)
    await becomes("ACTIVE")
    await keys.press("Hold until better", item)
    await becomes("ACKNOWLEDGED")


async def an_alert_is_made_edited_and_deleted(keys: Keyboard) -> None:
    path = "/v1/alerts?type=ALERT_TYPE_PRICE_THRESHOLD"
    await keys.open("/alerts?min_level=ANY&alert_class=ALERT_CLASS_MARKET")
    await keys.press("Add alert")
    await keys.asked("New alert")
    await keys.write("Limit", "1")
    await keys.write("Asset", "BTC")
    await keys.page.key("Enter")
    (made,) = (await keys.stored(path, lambda told: len(told["alerts"]) == 1))["alerts"]
    assert (made["asset"], made["trigger_value"]) == ("BTC", 1)
    await keys.keeps_its_place()
    item = f"[data-alert='{made['id']}']"
    await keys.press("Edit", item)
    await keys.visit.page.until("document.querySelector('dialog') !== null")
    await keys.write("notes", "by keys")
    await keys.press("Save", "dialog")
    await keys.stored(path, lambda told: bool(told["alerts"][0]["notes"] == "by keys"))
    await keys.keeps_its_place()
    await keys.press("Delete", item)
    await keys.asked("Delete this alert?")
    await keys.press("Delete", "dialog")
    await keys.stored(path, lambda told: told["alerts"] == [])


async def the_ledger_is_verified(keys: Keyboard) -> None:
    await keys.open("/alerts")
    await keys.press("Verify")
    await keys.visit.says("#ledger-panel", "intact")


async def the_past_is_judged(keys: Keyboard) -> None:
    now = datetime.now(UTC)
    for number in range(80):
        moment = now - timedelta(days=10) + timedelta(hours=3 * number)
        body = {"price_usd": 100 - number % 20, "price_time": moment.isoformat()}
        await keys.visit.post("/v1/prices/ETH/history", body)
    await keys.open("/backtest?asset=ETH")
    await keys.write("Liquidation away", "12", "#ask")
    await keys.write("HIGH at", "5", "#ask")
    await keys.page.key("Enter")
    await keys.visit.says("#figures", "liquidated")


ACTS: tuple[Act, ...] = (
    thresholds_are_edited_and_go_back_to_the_default,
    thresholds_are_saved_by_their_button_and_switched_off,
    an_earlier_version_of_the_thresholds_is_restored,
    limits_of_one_asset_come_and_go,
    thresholds_go_to_a_file_and_come_from_one,
    a_price_rule_tells_at_every_step,
    a_price_rule_is_made_edited_and_removed,
    an_alert_is_acknowledged_silenced_and_told_again,
    an_alert_is_made_edited_and_deleted,
    the_ledger_is_verified,
    the_past_is_judged,
)
