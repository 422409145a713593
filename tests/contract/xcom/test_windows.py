"""Maintenance windows: told at both ends, what stands is told at the end, HIGH breaks through."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sonic.xcom.v1 import xcom_pb2 as pb

from shared.clock import PushedClock
from shared.errors import InvalidArgument, NotFound
from tests.contract.xcom.conftest import Xcom, hook_settings, mail_settings
from tests.fakes.mail import FakeMailServer
from tests.fakes.webhook import FakeWebhook

pytestmark = pytest.mark.timeout(180)


async def planned(
    xcom: Xcom, *, start: timedelta | None = None, hours: float = 1, holds_high: bool = False
) -> pb.MaintenanceWindow:
    begins = xcom.clock.now() + (start or timedelta())
    window = pb.MaintenanceWindow(name="router swap", holds_high=holds_high, created_by="jane")
    if start is not None:
        window.start_time.FromDatetime(begins)
    window.end_time.FromDatetime(begins + timedelta(hours=hours))
    request = pb.CreateMaintenanceWindowRequest(maintenance_window=window)
    return await xcom.windows.CreateMaintenanceWindow(request)


def subjects(hook: FakeWebhook) -> list[str]:
    return [str(one.body["subject"]) for one in hook.received]


async def push(xcom: Xcom, seconds: float, step_seconds: float = 60) -> None:
    for _ in range(round(seconds / step_seconds)):
        await xcom.push(step_seconds)


@pytest.mark.slow
async def test_a_window_is_told_at_both_ends_and_what_stands_is_told_at_its_end(
    xcom: Xcom, hook: FakeWebhook
) -> None:
    await xcom.start(**hook_settings(hook))
    await planned(xcom)
    await xcom.push_until(lambda: len(hook.received) == 1, 31)
    assert subjects(hook)[0].startswith("Maintenance: router swap until 2026-11-")
    fields = {"channels": ["webhook"]}
    await xcom.send("MEDIUM", subject="stands", incident_key="a", **fields)
    await xcom.send("MEDIUM", subject="passes", incident_key="b", **fields)
    await xcom.send("LOW", subject="RESOLVED: b", incident_key="b", ends_incident=True, **fields)
    known = await xcom.send("MEDIUM", subject="known", incident_key="c", **fields)
    await xcom.escalation.AckMessage(pb.AckMessageRequest(id=known.id, by="jane"))
    await push(xcom, 1800)
    assert len(hook.received) == 1
    await xcom.push_until(lambda: len(hook.received) >= 5, 60)
    await push(xcom, 300)
    later = subjects(hook)[1:]
    # What is known comes for the record.
    assert sorted(later) == [
        "Maintenance over: router swap, 1 stand",
        "OVER BEFORE IT WAS TOLD: b",
        "known",
        "stands",
    ]
    (end,) = [one.body for one in hook.received if "over" in str(one.body["subject"])]
    assert "- stands" in end["body"] and "known" not in end["body"]
    held = next(one.body for one in hook.received if one.body["subject"] == "stands")
    assert held["reason"] == "HELD_UNTIL_NOW"


@pytest.mark.slow
async def test_high_breaks_through_a_window_unless_the_window_holds_it(
    xcom: Xcom, hook: FakeWebhook, mail: FakeMailServer, clock: PushedClock
) -> None:
    await xcom.start(**hook_settings(hook), **mail_settings(mail), xcom_escalation_seconds=60)
    first = await planned(xcom)
    loud = await xcom.send("HIGH", subject="breaks through", channels=["webhook"])
    await xcom.settled(loud.id, "webhook")
    await xcom.windows.EndMaintenanceWindow(pb.EndMaintenanceWindowRequest(id=first.id))
    await planned(xcom, holds_high=True)
    held = await xcom.send("HIGH", subject="is held", channels=["webhook"])
    await push(xcom, 1800)
    assert "is held" not in subjects(hook)
    # Nor does it escalate meanwhile.
    assert not [one for one in mail.mails if "is held" in str(one.text)]
    await xcom.push_until(lambda: "is held" in subjects(hook), 60)
    assert clock.now() - held.created_time.ToDatetime(clock.now().tzinfo) >= timedelta(minutes=59)


async def test_an_early_end_tells_what_was_held_at_once(xcom: Xcom, hook: FakeWebhook) -> None:
    await xcom.start(**hook_settings(hook))
    window = await planned(xcom, hours=6)
    await xcom.send("MEDIUM", subject="waits", channels=["webhook"])
    await push(xcom, 120)
    assert "waits" not in subjects(hook)
    ended = await xcom.windows.EndMaintenanceWindow(pb.EndMaintenanceWindowRequest(id=window.id))
    assert ended.end_time.ToDatetime() < window.end_time.ToDatetime()
    await xcom.push_until(lambda: {"waits"} < set(subjects(hook)), 5)
    with pytest.raises(NotFound, match="WINDOW_NOT_FOUND"):
        await xcom.windows.EndMaintenanceWindow(pb.EndMaintenanceWindowRequest(id=window.id))


@pytest.mark.slow
async def test_a_window_outlives_a_restart_and_is_told_once(xcom: Xcom, hook: FakeWebhook) -> None:
    await xcom.start(**hook_settings(hook))
    await planned(xcom, start=timedelta(minutes=10), hours=0.5)
    await xcom.app.stop()
    await xcom.start(**hook_settings(hook))
    await push(xcom, 3600)
    told = [one for one in subjects(hook) if one.startswith("Maintenance")]
    assert [one.partition(":")[0] for one in told] == ["Maintenance", "Maintenance over"]
    assert told[1] == "Maintenance over: router swap, nothing stands"
    listed = await xcom.windows.ListMaintenanceWindows(pb.ListMaintenanceWindowsRequest())
    assert [one.name for one in listed.maintenance_windows] == ["router swap"]


@pytest.mark.parametrize(
    ("start", "hours", "field"),
    [(timedelta(), 0, "end_time"), (timedelta(), 24 * 8, "end_time"), (None, -1, "end_time")],
)
async def test_a_window_that_cannot_be_is_refused_by_its_field(
    xcom: Xcom, start: timedelta | None, hours: float, field: str
) -> None:
    await xcom.start()
    with pytest.raises(InvalidArgument, match="INVALID_FIELD") as caught:
        await planned(xcom, start=start, hours=hours)
    assert field in str(caught.value.fields)


@pytest.mark.slow
async def test_an_end_whose_words_were_others_before_a_crash_keeps_no_later_window_untold(
    xcom: Xcom, hook: FakeWebhook
) -> None:
    await xcom.start(**hook_settings(hook))
    first = await planned(xcom)
    await planned(xcom, start=timedelta(hours=2))
    # As after a crash between the message and the note that it was sent.
    await xcom.send("LOW", subject="Maintenance over", request_id=f"{first.id}-end")
    await push(xcom, 4 * 3600, 300)
    told = [one for one in subjects(hook) if one.startswith("Maintenance")]
    assert [one.partition(":")[0] for one in told].count("Maintenance") == 2
    assert told[-1] == "Maintenance over: router swap, nothing stands"


@pytest.mark.parametrize("cancelled", [0, 1], ids=["the first", "the second"])
async def test_ending_one_of_two_windows_in_a_row_releases_what_the_other_does_not_hold(
    xcom: Xcom, hook: FakeWebhook, cancelled: int
) -> None:
    await xcom.start(**hook_settings(hook))
    hours = timedelta(hours=1)
    windows = [
        await planned(xcom, holds_high=True),
        await planned(xcom, start=hours, hours=6, holds_high=True),
    ]
    await xcom.send("HIGH", subject="waits", channels=["webhook"])
    await push(xcom, 600)
    assert "waits" not in subjects(hook)
    request = pb.EndMaintenanceWindowRequest(id=windows[cancelled].id)
    await xcom.windows.EndMaintenanceWindow(request)
    # At once when no other holds it, else at the end of the one that is left.
    await push(xcom, 120 if cancelled == 0 else 3300)
    await xcom.push_until(lambda: "waits" in subjects(hook), 5)
