"""What fits a narrow screen: a figure is whole or not there."""

from __future__ import annotations

import pytest
from rich.console import Console
from sonic.positions.v1 import positions_pb2 as pb

from services.cli import positions

HELD = pb.Position(
    wallet="demo-hedge",
    asset="BTC",
    side=pb.SIDE_SHORT,
    size_usd=123456.78,
    entry_price_usd=100123.45,
    mark_price_usd=97500.12,
    risk_liquidation_price_usd=90123.45,
    liquidation_distance_percent=107.13,
    travel_percent=-129.1,
    heat_index=100.0,
    flags=[pb.FLAG_MARK_STALE, pb.FLAG_DEMO],
)


@pytest.mark.parametrize("width", [80, 110, 200])
def test_no_figure_of_a_position_is_cut(
    width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(positions, "console", Console(width=width))
    positions._show([HELD])
    said = capsys.readouterr().out
    for figure in (
        "BTC SHORT",
        "demo-hedge",
        "97,500.12",
        "90,123.45",
        "107.13 %",
        "-129.1 %",
        "100.0",
        "DEMO",
    ):
        assert figure in said
    assert "…" not in said
    assert ("123,456.78" in said) == (width > 80)


def test_on_a_very_narrow_screen_whole_columns_give_way(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(positions, "console", Console(width=40))
    positions._show([HELD])
    said = capsys.readouterr().out
    assert all(figure in said for figure in ("BTC SHORT", "90,123.45", "107.13 %"))
    assert "heat" not in said and "…" not in said
