"""What people write for a field, and what they see of one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from sonic.alerts.v1 import alerts_pb2
from sonic.cyclone.v1 import cyclone_pb2
from sonic.positions.v1 import positions_pb2
from sonic.price.v1 import price_pb2
from sonic.xcom.v1 import xcom_pb2

from services.cli.nouns.positions import WHAT_IF_COLUMNS
from services.cli.schema import render
from services.cli.schema.fields import at, moment, put, span
from services.cli.schema.render import cell, figure, plain_columns, rows_table
from shared.errors import InvalidArgument

NOW = datetime(2026, 11, 29, 14, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("15min", 900), ("15m", 900), ("1h30m", 5400), ("2d", 172_800), ("1.5h", 5400)],
)
def test_spans_as_people_write_them(text: str, seconds: float) -> None:
    assert span(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "90", "x", "5 parsecs", "1h and 3m", "-5m"])
def test_what_is_no_span_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no span"):
        span(text)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("now", NOW),
        ("2h ago", NOW - timedelta(hours=2)),
        ("2026-11-29", datetime(2026, 11, 29, tzinfo=UTC)),
        ("2026-11-29T15:00+01:00", NOW),
        ("2026-11-29T14:00Z", NOW),
    ],
)
def test_moments_as_people_write_them(text: str, wanted: datetime) -> None:
    assert moment(text, NOW) == wanted


@given(st.timedeltas(min_value=timedelta(seconds=1), max_value=timedelta(days=900)))
def test_a_span_of_whole_seconds_reads_back(wanted: timedelta) -> None:
    seconds = int(wanted.total_seconds())
    assert span(f"{seconds}s") == timedelta(seconds=seconds)


def test_values_are_set_by_the_field_s_own_type() -> None:
    request = alerts_pb2.SilenceAlertRequest()
    put(request, "duration", "1h30m")
    put(request, "level", "critical")
    assert request.duration.seconds == 5400
    assert request.level == alerts_pb2.LEVEL_HIGH
    shock = positions_pb2.ShockGridRequest()
    put(shock, "shocks.0.moves_percent", ["BTC=-20", "SOL=-30.5"])
    put(shock, "shocks.0.name", "asked")
    assert dict(shock.shocks[0].moves_percent) == {"BTC": -20.0, "SOL": -30.5}
    what_if = positions_pb2.EvaluateAtPriceRequest()
    put(what_if, "prices_usd", ["140,130", "120"])
    assert list(what_if.prices_usd) == [140, 130, 120]
    channel = xcom_pb2.UpdateChannelRequest()
    put(channel, "channel.quiet_hours", "22:00-07:30 Europe/Berlin")
    quiet = channel.channel.quiet_hours
    assert (quiet.start_minute, quiet.end_minute, quiet.time_zone) == (1320, 450, "Europe/Berlin")
    history = price_pb2.ListPriceHistoryRequest()
    put(history, "start_time", "2026-11-29T14:00Z")
    assert history.start_time.ToDatetime(UTC) == NOW


@pytest.mark.parametrize(
    ("request_message", "path", "value", "words"),
    [
        (alerts_pb2.SilenceAlertRequest(), "duration", "soon", "is not a span"),
        (alerts_pb2.SilenceAlertRequest(), "level", "loud", "known are"),
        (price_pb2.ListPriceHistoryRequest(), "start_time", "yesterday", "is not a time"),
        (positions_pb2.ShockGridRequest(), "shocks.0.moves_percent", ["BTC"], "NAME=VALUE"),
        (positions_pb2.EvaluateAtPriceRequest(), "prices_usd", ["x"], "is not a number"),
        (xcom_pb2.UpdateChannelRequest(), "channel.quiet_hours", "at night", "is not hours"),
    ],
)
def test_what_is_no_value_is_refused_with_what_is_wanted(
    request_message: object, path: str, value: object, words: str
) -> None:
    with pytest.raises(InvalidArgument, match=words) as refused:
        put(request_message, path, value)  # type: ignore[arg-type]  # a message of any kind
    assert refused.value.fields


def test_a_path_that_is_none_is_a_fault_of_the_command() -> None:
    with pytest.raises(LookupError, match="has no field"):
        at(alerts_pb2.SilenceAlertRequest.DESCRIPTOR, "durations")


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("size_usd", 72149.6, "72,149.60"),
        ("price_usd", 0.00001234, "1.234e-05"),
        ("travel_percent", -12.3456, "-12.35 %"),
        ("heat_index", 12.3456789, "12.3457"),
    ],
)
def test_figures_have_the_unit_of_their_name(name: str, value: float, wanted: str) -> None:
    assert figure(name, value) == wanted


def test_what_is_absent_is_a_dash_and_never_0() -> None:
    position = positions_pb2.Position(asset="SOL", side=positions_pb2.SIDE_LONG, size_usd=0)
    assert str(cell(position, "heat_index")) == "-"
    assert str(cell(position, "size_usd")) == "0"
    assert str(cell(position, "side")) == "LONG"
    assert str(cell(cyclone_pb2.Cycle(), "state")) == "-"
    snapshot = positions_pb2.Snapshot()
    assert str(cell(snapshot, "totals.total_value_usd")) == "-"


def test_a_table_of_nothing_shows_its_columns() -> None:
    console = Console(width=80)
    with console.capture() as said:
        console.print(rows_table("Rules", [], ("id", "price_usd")))
    assert "price USD" in said.get()


def test_no_figure_is_cut_where_columns_have_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    wide = positions_pb2.Evaluation(
        price_usd=105_234.56,
        value_usd=1_234_567.89,
        pnl_usd=-1_234_567.89,
        leverage_ratio=12.3456,
        travel_percent=-123.45,
        liquidation_distance_percent=18.09,
        heat_index=5.12345,
        liquidation_probability=4.21285e-05,
        probability_model=positions_pb2.PROBABILITY_MODEL_EMPIRICAL,
    )
    for width in (40, 60, 80, 120, 200):
        monkeypatch.setattr(render, "console", console := Console(width=width))
        with console.capture() as said:
            console.print(rows_table("What if", [wide], WHAT_IF_COLUMNS))
        words = said.get().split()
        for one in ("105,234.56", "1,234,567.89", "-1,234,567.89", "12.3456", "-123.45", "18.09"):
            assert one in words, f"{one} at {width}"
        assert "4.21285e-05" in words and "5.12345" in words
        assert max(map(len, said.get().splitlines())) <= width
    assert said.get().count("105,234.56") == 1, "one table where there is room"


def test_columns_of_any_message_are_its_plain_fields() -> None:
    assert plain_columns(alerts_pb2.Statistics.DESCRIPTOR.fields)[:2] == ["type", "rule_id"]
