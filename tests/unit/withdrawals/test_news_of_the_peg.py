"""A lost peg is told as over only by a price that says so."""

from dataclasses import replace
from datetime import UTC, datetime

from services.withdrawals.assets.domain.settings import AssetSettings
from services.withdrawals.decisions.domain.record import DecisionRecord, failed_record, is_news

NOW = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
DJED = AssetSettings(name="djed")


def _record(price_usd: float, *reasons: str) -> DecisionRecord:
    return DecisionRecord("djed", 0, "", NOW, DJED, reasons=reasons, price_usd=price_usd)


def test_an_evaluation_that_failed_leaves_the_peg_lost_until_a_price_says_otherwise() -> None:
    lost = _record(0.95, "DEPEG").after(None)
    assert is_news(None, lost)
    failed = failed_record(DJED, NOW, demo=False, cycle_id="").after(lost)
    assert failed.is_off_peg
    again = _record(0.95, "DEPEG").after(failed)
    assert not is_news(replace(failed, value=0), again)
    found = _record(0.999).after(failed)
    assert not found.is_off_peg
    assert is_news(replace(failed, value=0), found)
