"""Who watches and who is told: monitors, channels, messages, badges, cycles, the night."""

from __future__ import annotations

import json
from typing import Any

from tests.browser.keyboard import Act, Keyboard
from tests.browser.visit import PAST

# What a message says that the webhook of these tests refuses until it is given up.
REFUSED_TWICE = "refused twice"


async def a_monitor_is_run_snoozed_woken_set_and_switched(keys: Keyboard) -> None:
    path, item = "/v1/monitors/latency", "[data-monitor=latency]"
    before = (await keys.visit.get(path)).get("last_run", {}).get("id", "0")
    await keys.open("/monitors")
    await keys.press("Run now", item)
    await keys.stored(path, lambda told: int(told["last_run"]["id"]) > int(before))
    await keys.press("Snooze", item)
    await keys.asked("Snooze latency")
    await keys.choose("It rests for", "8 h")
    await keys.press("Snooze", "dialog")
    await keys.stored(path, lambda told: "snoozed_until_time" in told)
    await keys.keeps_its_place()
    await keys.press("Wake", item)
    await keys.stored(path, lambda told: "snoozed_until_time" not in told)
    await keys.keeps_its_place()
    await keys.press("Settings", item)
    await keys.asked("Monitor latency")
    await keys.write("Interval", "3min")
    await keys.page.key("Enter")
    await keys.stored(path, lambda told: bool(told["interval"] == "180s"))
    await keys.keeps_its_place()
    await keys.press("latency runs", item, "Space")
    await keys.stored(path, lambda told: not told["enabled"])
    await keys.press("latency runs", item, "Space")
    await keys.stored(path, lambda told: bool(told["enabled"]))


async def a_channel_is_tested_and_has_quiet_hours(keys: Keyboard) -> None:
    def webhook(told: dict[str, Any]) -> dict[str, Any]:
        return next(one for one in told["channels"] if one["name"] == "webhook")

    before = webhook(await keys.visit.get("/v1/channels")).get("verified_time", "")
    await keys.open("/deliveries")
    await keys.press("Test", "[data-channel=webhook]")
    await keys.stored("/v1/channels", lambda told: webhook(told).get("verified_time", "") > before)
    await keys.visit.says("#toasts", "webhook: accepted the test")
    await keys.press("Settings", "[data-channel=webhook]")
    await keys.asked("Channel webhook")
    await keys.write("Quiet from", "22:00")
    await keys.write("Quiet until", "07:00")
    await keys.page.key("Enter")
    await keys.stored("/v1/channels", lambda told: "quiet_hours" in webhook(told))


async def an_earlier_version_of_the_channels_is_restored(keys: Keyboard) -> None:
    def quiet(told: dict[str, Any]) -> int:
        found = next(one for one in told["channels"] if one["name"] == "webhook")
        return int(found.get("quiet_budget_count", 0))

    for count in (41, 42):
        body = {"quiet_budget_count": count}
        path = "/v1/channels/webhook?update_mask=quiet_budget_count"
        answer = await keys.visit.web.patch(path, json=body)
        assert answer.status_code == 200, answer.text
    await keys.open("/deliveries")
    await keys.press("Versions")
    await keys.asked("Versions of the channel settings")
    await keys.press("Compare with now", "dialog li:nth-of-type(2)")
    await keys.visit.says("dialog li:nth-of-type(2)", "To now: ")
    await keys.press("Restore", "dialog li:nth-of-type(2)")
    await keys.asked("Back to version")
    await keys.press("Restore", "dialog:last-of-type")
    await keys.stored("/v1/channels", lambda told: quiet(told) == 41)


async def the_scorecard_is_of_the_days_chosen(keys: Keyboard) -> None:
    await keys.open("/scorecard")
    await keys.choose("of the last", "365 days", "main")
    await keys.page.until("location.search === '?days=365'")
    start = (await keys.visit.get("/v1/scorecard?days=365"))["start_time"][:10]
    day = f"new Date('{start}').toLocaleDateString()"
    await keys.page.until(
        f"document.querySelector('#rules [data-count]').innerText.includes({day})"
    )


async def a_chart_is_read_made_larger_and_a_line_of_it_hidden(keys: Keyboard) -> None:
    shown = "document.querySelector('#price-panel .u-legend .u-series:nth-child(2)')"
    await keys.open(f"/positions/{PAST}")
    await keys.page.until(f"!!{shown}")
    await keys.press("Price over time", "#price-panel", "ArrowRight")
    point = "document.querySelector('#price-panel .u-series .u-value').innerText"
    first = await keys.page.run(point)
    assert first not in ("", "--")
    await keys.page.key("ArrowRight")
    await keys.page.until(f"{point} !== {json.dumps(first)}")
    ticks = "document.querySelector('#price-panel canvas').toDataURL()"
    whole = await keys.page.run(ticks)
    await keys.page.key("+")
    await keys.page.until(f"{ticks} !== {json.dumps(whole)}")
    await keys.page.key("0")
    await keys.page.until(f"{ticks} === {json.dumps(whole)}")
    await keys.press("SOL, USD", "#price-panel")
    await keys.page.until(f"{shown}.classList.contains('u-off')")
    assert await keys.page.run("document.activeElement.ariaPressed") == "false"
    await keys.page.key("Space")
    await keys.page.until(f"!{shown}.classList.contains('u-off')")


async def a_level_takes_another_channel(keys: Keyboard) -> None:
    def channels(told: dict[str, Any]) -> list[str]:
        return next(list(one["channels"]) for one in told["routes"] if one["level"] == "LEVEL_LOW")

    before = channels(await keys.visit.get("/v1/levels"))
    assert "webhook" not in before
    await keys.open("/deliveries")
    await keys.press("Edit", "#levels")
    await keys.asked("Channels of a level")
    await keys.press("webhook", "[data-field=LEVEL_LOW]", "Space")
    await keys.press("Save", "dialog")
    await keys.stored("/v1/levels", lambda told: "webhook" in channels(told))
    await keys.keeps_its_place()
    await keys.press("Edit", "#levels")
    await keys.asked("Channels of a level")
    await keys.press("All back to the default", "dialog")
    await keys.stored("/v1/levels", lambda told: channels(told) == before)


async def contacts_are_put_in_another_order(keys: Keyboard) -> None:
    def names(told: dict[str, Any]) -> list[str]:
        return [one["name"] for one in told["contacts"]]

    for name in ("ada", "bob"):
        known = await keys.visit.get("/v1/escalation")
        one = {"name": name, "wait": "300s", "routes": [{"channel": "webhook"}]}
        body = {"contacts": [*known["contacts"], one], "etag": known["etag"]}
        answer = await keys.visit.web.patch("/v1/escalation", json=body)
        assert answer.status_code == 200, answer.text
    await keys.open("/deliveries")
    await keys.press("Earlier: bob", "#escalation")
    await keys.stored("/v1/escalation", lambda told: names(told) == ["bob", "ada"])
    await keys.keeps_its_place()
    for name in ("bob", "ada"):
        await keys.press(f"Remove {name}", "#escalation")
        await keys.asked(f"Remove {name}?")
        await keys.press("Remove", "dialog")
        await keys.stored("/v1/escalation", lambda told, gone=name: gone not in names(told))
        await keys.page.until(
            f"!document.querySelector('#escalation').innerText.includes('{name}')"
        )
        await keys.keeps_its_place()


async def a_dead_delivery_is_sent_again(keys: Keyboard) -> None:
    """Refused for good; when it is asked for again, it is taken."""
    message = {
        "request_id": "refused-first",
        "level": "LEVEL_LOW",
        "subject": f"{REFUSED_TWICE}, then taken",
        "source": "test",
        "channels": ["webhook"],
    }
    id_ = (await keys.visit.post("/v1/messages:send", message))["id"]

    def state(told: dict[str, Any]) -> str:
        return str(told["deliveries"][0]["state"]).removeprefix("DELIVERY_STATE_")

    path = f"/v1/messages/{id_}"
    await keys.stored(path, lambda told: state(told) == "DEAD")
    await keys.open("/deliveries?source=test&level=LEVEL_LOW")
    await keys.press("then taken", f"[data-message='{id_}']")
    await keys.press("Send again", f"[data-message='{id_}']")
    await keys.stored(path, lambda told: state(told) == "SENT")
    await keys.visit.says(f"[data-message='{id_}'] summary", "SENT")


async def who_is_told_next_is_named(keys: Keyboard) -> None:
    await keys.open("/deliveries")
    await keys.press("Add a contact")
    await keys.asked("New contact")
    await keys.write("Name", "bea")
    await keys.choose("Way 1", "webhook")
    await keys.press("Add", "dialog")
    await keys.stored("/v1/escalation", lambda told: len(told["contacts"]) == 1)
    await keys.keeps_its_place()
    await keys.press("Remove bea", "#escalation")
    await keys.asked("Remove bea?")
    await keys.press("Remove", "dialog")
    await keys.stored("/v1/escalation", lambda told: told["contacts"] == [])


async def a_message_is_acknowledged(keys: Keyboard) -> None:
    message = {
        "request_id": "by-keys",
        "level": "LEVEL_HIGH",
        "subject": "told by a test",
        "source": "test",
        "channels": ["log"],
    }
    id_ = (await keys.visit.post("/v1/messages:send", message))["id"]
    await keys.open("/deliveries?source=test&level=LEVEL_HIGH")
    await keys.press("told by a test", f"[data-message='{id_}']")
    await keys.press("Acknowledge", f"[data-message='{id_}']")
    await keys.stored(f"/v1/messages/{id_}", lambda told: "acknowledged_time" in told)


async def a_badge_is_dismissed_for_all_browsers(keys: Keyboard) -> None:
    await keys.visit.show("/")
    await keys.page.until("document.querySelector('#badges .badge') !== null")
    before = (await keys.visit.get("/v1/badges"))["badges"]
    await keys.press("", "#badges")
    await keys.stored("/v1/badges", lambda told: bool(told["badges"] != before))


async def a_cycle_is_run_and_the_schedule_changed(keys: Keyboard) -> None:
    before = (await keys.visit.get("/v1/cycles?page_size=1"))["cycles"][0]["id"]
    await keys.visit.show("/cycles")
    await keys.press("Run cycle", "header")
    found = await keys.stored(
        "/v1/cycles?page_size=1",
        lambda told: (
            told["cycles"][0]["id"] != before
            and told["cycles"][0]["state"] in ("CYCLE_STATE_SUCCEEDED", "CYCLE_STATE_PARTIAL")
        ),
    )
    assert found["cycles"][0]["cause"] == "CAUSE_REQUEST"
    await keys.press("Interval", "#schedule")
    await keys.asked("Schedule")
    await keys.write("A cycle every", "2min")
    await keys.page.key("Enter")
    await keys.stored("/v1/schedule", lambda told: bool(told["interval"] == "120s"))
    await keys.keeps_its_place()
    # These servers were started without a schedule: that is said, and not that cycles run.
    await keys.press("Resume", "#schedule")
    await keys.visit.says("#toasts .alert", "SONIC_SCHEDULE=0")


async def the_answer_before_sleep_is_of_the_hours_chosen(keys: Keyboard) -> None:
    await keys.open("/sleep")
    await keys.choose("for", "12 hours", "main")
    await keys.page.until("location.search === '?hours=12'")
    answer = await keys.visit.get("/v1/sleep?duration=43200s")
    await keys.visit.says("#sleep .verdict", answer["verdict"].removeprefix("SLEEP_VERDICT_"))


ACTS: tuple[Act, ...] = (
    a_monitor_is_run_snoozed_woken_set_and_switched,
    # Before there are quiet hours, which hold it.
    a_dead_delivery_is_sent_again,
    a_channel_is_tested_and_has_quiet_hours,
    an_earlier_version_of_the_channels_is_restored,
    a_level_takes_another_channel,
    who_is_told_next_is_named,
    contacts_are_put_in_another_order,
    a_message_is_acknowledged,
    a_badge_is_dismissed_for_all_browsers,
    a_cycle_is_run_and_the_schedule_changed,
    the_answer_before_sleep_is_of_the_hours_chosen,
    the_scorecard_is_of_the_days_chosen,
    a_chart_is_read_made_larger_and_a_line_of_it_hidden,
)
