"""What each check finds, when people are told, how healthy a monitor is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from services.monitor.checks import (
    AnswerReading,
    BackupReading,
    CertificateReading,
    ChannelReading,
    CheckContext,
    DiskReading,
    HoldingsReading,
    JudgedReading,
    LedgerReading,
    PastPrice,
    PriceReading,
    StreamReading,
    WalletReading,
)
from services.monitor.checks.disk import DiskCheck
from services.monitor.checks.liquidation import LiquidationCheck
from services.monitor.checks.position import PositionCheck
from services.monitor.checks.price import PriceCheck
from services.monitor.checks.profit import ProfitCheck
from services.monitor.checks.risk import RiskCheck
from services.monitor.checks.storage import StorageCheck
from services.monitor.checks.withdrawals import WithdrawalsCheck
from services.monitor.domain.findings import Finding, Level, Run, RunStatus
from services.monitor.domain.incidents import follow
from services.monitor.domain.settings import is_due
from services.monitor.domain.states import Health, health

NOW = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@dataclass
class Known:
    """Readings that are given."""

    known_prices: tuple[PriceReading, ...] = ()
    held: HoldingsReading = field(default_factory=lambda: HoldingsReading(0, 0, 0.0, 0.0))
    known_judged: tuple[JudgedReading, ...] = ()
    known_disk: DiskReading | None = None
    refused: dict[str, str] | None = None
    known_ledger: LedgerReading | None = None
    known_backup: BackupReading | None = None
    known_certificates: tuple[CertificateReading, ...] = ()

    async def prices(self) -> tuple[PriceReading, ...]:
        return self.known_prices

    async def holdings(self) -> HoldingsReading:
        return self.held

    async def judged(self) -> tuple[JudgedReading, ...]:
        return self.known_judged

    async def history(self, asset: str, since: datetime) -> tuple[PastPrice, ...]:
        return ()

    async def refused_advice(self) -> dict[str, str] | None:
        return self.refused

    async def services(self) -> tuple[AnswerReading, ...]:
        return ()

    async def hosts(self) -> tuple[AnswerReading, ...]:
        return ()

    async def channels(self) -> tuple[ChannelReading, ...]:
        return ()

    async def ping(self, channel: str) -> str:
        return ""

    async def streams(self) -> tuple[StreamReading, ...] | None:
        return None

    async def disk(self) -> DiskReading | None:
        return self.known_disk

    async def backup(self) -> BackupReading | None:
        return self.known_backup

    async def certificates(self) -> tuple[CertificateReading, ...]:
        return self.known_certificates

    async def storage(self) -> dict[str, int]:
        return {"alerts": 5 * 2**20, "monitor": 2**20}

    async def ledger(self) -> LedgerReading | None:
        return self.known_ledger

    async def twilio(self) -> str | None:
        return None


def judged(
    kind: str, level: Level, value: float | None = None, stale: int = 0, scope: str = "POSITION"
) -> JudgedReading:
    by_asset = {} if value is None else {"SOL": value}
    return JudgedReading(kind, scope, level, value, "SOL", 4, stale, by_asset)


@pytest.mark.parametrize(
    ("quality", "status"),
    [
        ("GOOD", RunStatus.SUCCESS),
        ("SINGLE", RunStatus.SUCCESS),
        ("CLOSED", RunStatus.SUCCESS),
        ("STALE", RunStatus.BREACH),
        ("NONE", RunStatus.BREACH),
        ("DISAGREE", RunStatus.BREACH),
    ],
)
async def test_a_price_that_cannot_be_trusted_is_a_breach_that_names_the_asset(
    quality: str, status: RunStatus
) -> None:
    readings = Known(
        known_prices=(PriceReading("BTC", quality, 1.0, 1.0), PriceReading("ETH", "GOOD", 1.0, 1.0))
    )
    finding = await PriceCheck().run(CheckContext(readings, NOW))
    assert finding.status is status
    assert ("BTC" in finding.concern) == (status is RunStatus.BREACH)
    assert "ETH" not in finding.concern


async def test_a_wallet_that_failed_is_told_and_the_badge_is_marked_stale() -> None:
    wallets = (WalletReading("main", "FAILED", "TIMEOUT"), WalletReading("other", "COMPLETE", ""))
    finding = await PositionCheck().run(
        CheckContext(Known(held=HoldingsReading(3, 0, 0.0, 0.0, wallets)), NOW)
    )
    assert finding.status is RunStatus.BREACH
    assert finding.concern == "wallets that cannot be read: main (TIMEOUT)"
    badge = finding.badges["position_badge"]
    assert badge is not None
    assert (badge.value, badge.stale) == ("3", True)


async def test_a_part_of_an_account_that_is_not_read_is_a_breach_that_names_it() -> None:
    words = "not watched: dex xyz, 1,000 USD"
    wallets = (
        WalletReading("main", "PARTIAL", "NOT_WATCHED", (words,)),
        WalletReading("hot", "PARTIAL", "ROWS_REFUSED"),
    )
    finding = await PositionCheck().run(
        CheckContext(Known(held=HoldingsReading(3, 0, 0.0, 0.0, wallets)), NOW)
    )
    assert finding.status is RunStatus.BREACH
    assert finding.concern == f"parts of accounts that are not read: main ({words})"


def unread(*parts: str, reason: str = "NOT_WATCHED") -> WalletReading:
    return WalletReading("main", "PARTIAL", reason, parts)


@pytest.mark.parametrize(
    ("later", "joins"),
    [
        (unread("not watched: dex xyz, 9,000 USD"), ""),
        (
            unread("not watched: dex xyz, 9,000 USD", "not watched: dex abc, 7 USD"),
            "main (not watched: dex abc, 7 USD)",
        ),
        (
            unread("not watched: dex xyz, 9,000 USD", "not looked at: subaccounts"),
            "main (not looked at: subaccounts)",
        ),
        (WalletReading("main", "FAILED", "TIMEOUT"), "main (TIMEOUT)"),
    ],
)
async def test_another_part_of_the_same_wallet_or_all_of_it_is_told_anew(
    later: WalletReading, joins: str
) -> None:
    incident = None
    for number, wallet in enumerate((unread("not watched: dex xyz, 1,000 USD"), later)):
        held = HoldingsReading(3, 0, 0.0, 0.0, (wallet,))
        finding = await PositionCheck().run(CheckContext(Known(held=held), NOW))
        change = follow("position", incident, finding, f"i{number}", NOW)
        incident = change.after
    said = change.notification.subject if change.notification else ""
    assert said == (f"position monitor: now also {joins}" if joins else "")


async def _doubted(
    reasons: Sequence[str], minutes: float = 2, parts: tuple[str, ...] = ()
) -> list[Finding]:
    """What looks so far apart find at a wallet that is PARTIAL for these reasons; empty: whole."""
    found: list[Finding] = []
    last = None
    for number, reason in enumerate(reasons):
        now = NOW + number * timedelta(minutes=minutes)
        wallet = WalletReading("main", "PARTIAL" if reason else "COMPLETE", reason, parts)
        held = HoldingsReading(3, 1, 0.0, 0.0, (wallet,))
        finding = await PositionCheck().run(CheckContext(Known(held=held), now, last=last))
        last = Run("position", now, 0.0, finding.status, finding.metadata, "")
        found.append(finding)
    return found


@pytest.mark.parametrize("reason", ["ROWS_REFUSED", "POSITIONS_MISSING", "ISOLATED_UNREAD"])
async def test_answers_that_cannot_be_taken_whole_for_five_minutes_are_told(reason: str) -> None:
    findings = await _doubted([reason] * 4)
    assert [one.concern for one in findings] == [
        "", "", "", f"answers that cannot be taken whole: main ({reason})",
    ]  # fmt: skip
    assert dict(findings[3].members) == {"main in part": f"main ({reason})"}


async def test_what_is_taken_meanwhile_is_not_told() -> None:
    findings = await _doubted(["ROWS_REFUSED", "ROWS_REFUSED", "", "ROWS_REFUSED", "ROWS_REFUSED"])
    assert not any(one.concern for one in findings)


async def test_rows_that_are_refused_are_told_beside_parts_that_are_not_read() -> None:
    words = "not watched: dex xyz, 1,000 USD"
    *_, finding = await _doubted(["ROWS_REFUSED"] * 4, parts=(words,))
    assert list(finding.members.values()) == [f"main ({words})", "main (ROWS_REFUSED)"]
    for named in ("NOT_WATCHED", "DEX_UNREAD"):
        *_, finding = await _doubted([named] * 4, parts=(words,))
        assert list(finding.members.values()) == [f"main ({words})"]


async def test_every_part_is_named_however_many_there_are_and_whatever_its_words() -> None:
    parts = [f"not watched: dex number{one}; of many, 1,000 USD" for one in range(20)]
    held = HoldingsReading(3, 0, 0.0, 0.0, (unread(*parts),))
    finding = await PositionCheck().run(CheckContext(Known(held=held), NOW))
    assert sorted(finding.members) == sorted(
        f"main not watched: dex number{one}; of many" for one in range(20)
    )


async def test_nothing_held_and_nothing_wrong_shows_no_position_badge() -> None:
    finding = await PositionCheck().run(CheckContext(Known(), NOW))
    assert finding.status is RunStatus.SUCCESS
    assert finding.badges == {"position_badge": None}


async def test_levels_are_read_from_the_judge_and_told_by_nobody_else() -> None:
    readings = Known(
        known_judged=(
            judged("HEAT_INDEX", Level.MEDIUM, 44.0),
            judged("TRAVEL_PERCENT", Level.HIGH, -75.3, stale=1),
            judged("LIQUIDATION_DISTANCE", Level.HIGH, 2.53),
            judged("PROFIT", Level.NORMAL, 3.0),
        )
    )
    risk = await RiskCheck().run(CheckContext(readings, NOW))
    liquidation = await LiquidationCheck().run(CheckContext(readings, NOW))
    profit = await ProfitCheck().run(CheckContext(readings, NOW))
    assert [finding.concern for finding in (risk, liquidation, profit)] == ["", "", ""]
    travel = risk.badges["travel_risk_badge"]
    assert travel is not None
    assert (travel.level, travel.value, travel.stale) == (Level.HIGH, "SOL -75.3 %", True)
    nearest = liquidation.badges["liquidation_badge"]
    assert nearest is not None
    assert nearest.value == "SOL 2.53 %"
    assert profit.status is RunStatus.SUCCESS
    assert profit.badges == {"profit_badge": None}


async def test_a_held_level_without_a_value_shows_a_question_mark_and_never_zero() -> None:
    finding = await LiquidationCheck().run(
        CheckContext(Known(known_judged=(judged("LIQUIDATION_DISTANCE", Level.HIGH),)), NOW)
    )
    badge = finding.badges["liquidation_badge"]
    assert badge is not None
    assert badge.value == "?"


def run(status: RunStatus, age: timedelta) -> Run:
    return Run("price", NOW - age, 0.1, status, {}, "")


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        (None, Health.OFFLINE),
        (run(RunStatus.SUCCESS, MINUTE), Health.HEALTHY),
        (run(RunStatus.BREACH, MINUTE), Health.WARNING),
        (run(RunStatus.ERROR, MINUTE), Health.ERROR),
        (run(RunStatus.SUCCESS, 2 * MINUTE), Health.WARNING),
        (run(RunStatus.SUCCESS, 3 * MINUTE), Health.OFFLINE),
        (run(RunStatus.ERROR, 3 * MINUTE), Health.OFFLINE),
        (run(RunStatus.SUCCESS, -MINUTE), Health.HEALTHY),
        (run(RunStatus.SUCCESS, -2 * MINUTE), Health.OFFLINE),
    ],
)
def test_health_says_how_the_last_run_went_and_whether_it_is_late(
    last: Run | None, expected: Health
) -> None:
    assert health(last, MINUTE, NOW) is expected


def test_a_monitor_is_due_when_its_interval_has_passed() -> None:
    assert is_due(None, MINUTE, NOW)
    assert is_due(NOW - MINUTE, MINUTE, NOW)
    assert not is_due(NOW - MINUTE / 2, MINUTE, NOW)
    # A cycle that comes a moment early does not make it wait for the next one.
    assert is_due(NOW - timedelta(seconds=58), MINUTE, NOW)
    assert not is_due(NOW - timedelta(seconds=56), MINUTE, NOW)
    assert not is_due(NOW - timedelta(minutes=59), timedelta(hours=1), NOW)
    assert is_due(NOW + MINUTE, MINUTE, NOW)


@pytest.mark.parametrize(
    ("free_mib", "size_gib", "was", "status"),
    [
        (1000, 100, RunStatus.SUCCESS, RunStatus.BREACH),
        # A large disk with a small share left, and a small one that is mostly empty.
        (4000, 1000, RunStatus.SUCCESS, RunStatus.SUCCESS),
        (900, 2, RunStatus.SUCCESS, RunStatus.SUCCESS),
        # Just over the edge is not over yet, well over it is.
        (1100, 100, RunStatus.BREACH, RunStatus.BREACH),
        (1100, 100, RunStatus.SUCCESS, RunStatus.SUCCESS),
        (1300, 100, RunStatus.BREACH, RunStatus.SUCCESS),
    ],
)
async def test_a_disk_is_low_under_a_share_and_a_size_at_once(
    free_mib: int, size_gib: int, was: RunStatus, status: RunStatus
) -> None:
    disk = DiskReading("/home/sonic", free_mib * 2**20, size_gib * 2**30)
    found = await DiskCheck().run(CheckContext(Known(known_disk=disk), NOW, last=run(was, MINUTE)))
    assert found.status is status
    assert bool(found.concern) is (status is RunStatus.BREACH)
    assert found.level is Level.MEDIUM


async def test_what_each_service_keeps_is_said_and_is_no_breach() -> None:
    found = await StorageCheck().run(CheckContext(Known(), NOW))
    assert (found.status, found.badges) == (RunStatus.SUCCESS, {})
    sizes = {"alerts": 5_242_880, "monitor": 1_048_576}
    assert found.metadata == {"bytes": sizes, "ledger": None}
    # A ledger of which alerts said nothing is not well again.
    last = Run("storage", NOW - MINUTE, 0.1, RunStatus.BREACH, {}, "")
    found = await StorageCheck().run(CheckContext(Known(), NOW, last=last))
    assert (found.status, found.concern, found.badges) == (RunStatus.BREACH, "", {})


@pytest.mark.parametrize(
    ("overdue", "problem", "status"),
    [
        (False, "", RunStatus.SUCCESS),
        (False, "no folder", RunStatus.SUCCESS),
        (True, "", RunStatus.SUCCESS),
        (True, "no folder", RunStatus.BREACH),
    ],
)
async def test_rows_of_the_ledger_that_are_past_their_age_and_stay_are_told(
    overdue: bool, problem: str, status: RunStatus
) -> None:
    ledger = LedgerReading(400.0, 12, NOW, 7, 2, 3 * 2**20, overdue, problem)
    found = await StorageCheck().run(CheckContext(Known(known_ledger=ledger), NOW))
    assert found.status is status
    assert bool(found.badges["storage_badge"]) is (status is RunStatus.BREACH)
    assert ("no folder" in found.concern) is (status is RunStatus.BREACH)
    sizes = found.metadata["bytes"]
    assert isinstance(sizes, dict)
    assert sizes["sealed ledger"] == 3 * 2**20
    assert found.metadata["ledger"] == {
        "kept_days": 400.0,
        "rows": 12,
        "oldest_time": NOW.isoformat(),
        "sealed_rows": 7,
        "files": 2,
        "overdue": overdue,
        "problem": problem,
    }


async def test_advice_that_alerts_refused_is_said_at_medium_until_it_is_taken() -> None:
    asked = WithdrawalsCheck()
    found = await asked.run(CheckContext(Known(refused={"djed": "INVALID_FIELD"}), NOW))
    assert (found.status, found.level) == (RunStatus.BREACH, Level.MEDIUM)
    assert "djed (INVALID_FIELD)" in found.concern
    badge = found.badges["withdrawals_badge"]
    assert badge is not None
    assert (badge.value, badge.level) == ("advice not told: djed", Level.MEDIUM)
    taken = await asked.run(CheckContext(Known(refused={}), NOW))
    assert (taken.status, taken.badges) == (RunStatus.SUCCESS, {"withdrawals_badge": None})
    none = await asked.run(CheckContext(Known(), NOW))
    assert none.status is RunStatus.SKIPPED


async def test_where_no_home_is_seen_the_disk_is_skipped_with_a_reason() -> None:
    found = await DiskCheck().run(CheckContext(Known(), NOW))
    assert found.status is RunStatus.SKIPPED
    assert found.error.startswith("NOT_CONFIGURED: no SONIC_HOME")
