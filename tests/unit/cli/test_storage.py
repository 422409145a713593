"""What is kept now and in a month: the pace of what was measured, UNKNOWN before there is one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from services.cli import doctor, status
from services.cli.plan import Plan
from services.cli.room import LOW_BYTES
from services.cli.storage import Measured, Storage, forecast
from shared.ports import is_free
from tests.fakes.ports import free_settings

NOW = datetime(2026, 11, 29, 14, 0, tzinfo=UTC)
MB = 1_000_000


def measured(days_ago: float, **by_service: int) -> Measured:
    return Measured(NOW - timedelta(days=days_ago), by_service)


def test_a_month_brings_thirty_times_what_a_day_of_the_measured_ones_brought() -> None:
    before = measured(4, alerts=10 * MB, price=6 * MB)
    kept = forecast(measured(0, alerts=14 * MB, price=7 * MB), before)
    assert kept.by_service == {"alerts": 14 * MB, "price": 7 * MB}
    assert kept.month_by_service == {"alerts": 44 * MB, "price": 14_500_000}
    assert (kept.total, kept.month_total) == (21 * MB, 58_500_000)
    told = "21.0 MB now, in a month 58.5 MB at this pace: alerts 44.0 MB, price 14.5 MB"
    assert kept.sentence() == told


def test_a_service_that_shrank_stays_and_one_that_is_new_grew_from_nothing() -> None:
    kept = forecast(measured(0, alerts=4 * MB, xcom=2 * MB), measured(2, alerts=9 * MB))
    assert kept.month_by_service == {"alerts": 4 * MB, "xcom": 32 * MB}


@pytest.mark.parametrize("days", [0.0, 0.5, 0.99])
def test_what_is_younger_than_a_day_tells_no_month(days: float) -> None:
    kept = forecast(measured(0, alerts=14 * MB), measured(days, alerts=10 * MB))
    assert kept.month_by_service is None
    assert kept.sentence() == (
        "14.0 MB now, in a month UNKNOWN, measured for less than a day: alerts 14.0 MB"
    )
    assert kept.as_dict() == {
        "measured_time": "2026-11-29T14:00:00+00:00",
        "bytes": 14 * MB,
        "month_bytes": None,
        "services": {"alerts": {"bytes": 14 * MB, "month_bytes": None}},
    }
    assert not kept.grows_over(0)


def test_json_has_the_bytes_of_each_service_now_and_in_a_month() -> None:
    told = forecast(measured(0, alerts=14 * MB), measured(4, alerts=10 * MB)).as_dict()
    assert told["services"] == {"alerts": {"bytes": 14 * MB, "month_bytes": 44 * MB}}
    assert (told["bytes"], told["month_bytes"]) == (14 * MB, 44 * MB)


def test_status_says_when_a_month_brings_more_than_there_is_room_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SONIC_HOME", str(tmp_path))
    monkeypatch.setattr(status, "free_bytes", lambda _folder: LOW_BYTES)
    for month, said in ((LOW_BYTES, []), (LOW_BYTES + 2, ["At this pace the disk is full"])):
        kept = Storage(NOW, {"alerts": 1}, {"alerts": month + 1})
        assert [words[:28] for words in status._room(kept)] == [words[:28] for words in said]


async def test_doctor_says_what_a_stopped_system_holds_and_that_no_month_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in free_settings().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("SONIC_HOME", str(tmp_path))
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "table").write_bytes(b"x" * 3 * MB)
    assert all(map(is_free, Plan().addresses.values()))
    (found,) = await doctor._storage(Plan())
    assert (found.what, found.verdict) == ("storage", "ok")
    assert found.found == "3.0 MB now, in a month UNKNOWN, Sonic is not running"
    assert found.figures is not None
    assert found.figures["bytes"] == pytest.approx(3 * MB, rel=0.01)


LEDGER = {
    "kept_days": 400.0,
    "rows": 1_234,
    "oldest_time": "2025-11-01T00:00:00+00:00",
    "sealed_rows": 20_000,
    "files": 3,
    "overdue": False,
    "problem": "",
}


def test_the_age_of_the_ledger_is_said_with_what_left() -> None:
    kept = Storage(NOW, {"alerts": MB}, None, LEDGER)
    assert kept.ledger_sentence() == (
        "1,234 rows since 2025-11-01, sealed in files after 400 days; 20,000 rows in 3 sealed files"
    )
    assert kept.as_dict()["ledger"] == LEDGER
    assert status._room(kept) == []
    (found,) = doctor._ledger(kept)
    assert (found.verdict, found.found) == ("ok", kept.ledger_sentence())
    for_ever = Storage(NOW, {"alerts": MB}, None, LEDGER | {"kept_days": None})
    assert "kept for ever" in for_ever.ledger_sentence()
    assert Storage(NOW, {"alerts": MB}, None).ledger_sentence() == ""


def test_status_and_doctor_say_why_old_rows_of_the_ledger_stay() -> None:
    stuck = LEDGER | {"overdue": True, "problem": "no folder for sealed files is set"}
    kept = Storage(NOW, {"alerts": MB}, None, stuck)
    assert status._room(kept) == ["Old rows of the ledger stay: no folder for sealed files is set"]
    (found,) = doctor._ledger(kept)
    assert (found.verdict, found.found) == ("warning", kept.ledger_problem())
