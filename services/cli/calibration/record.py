"""The live record of the touch probability, as tables and sentences."""

from __future__ import annotations

from sonic.positions.v1 import positions_pb2 as pb
from sonic.positions.v1 import positions_pb2_grpc as rpc

from services.cli.connection import connected
from services.cli.output import console, enum_name, print_json, table

_SECONDS = 30.0


async def show_record(asset: str, days: int, *, json: bool) -> None:
    """Print the record of the running system."""
    request = pb.GetTouchRecordRequest(asset=asset, days=days)
    async with connected() as found:
        stub = await found.stub("positions", rpc.TouchesServiceStub)
        record = await stub.GetTouchRecord(request, timeout=_SECONDS)
    if json:
        print_json(record)
        return
    for line in sentences(record):
        console.print(line)
    whole = record.scores[0]
    if whole.statement_count:
        _show_scores(record)
        _show_bins(whole)
        console.print(
            "Statements of neighbouring hours share most of their 24 hours: apart counts horizons"
            " that do not overlap, and the interval of 95 % is made of those.",
            style="bright_black",
        )


def sentences(record: pb.TouchRecord) -> list[str]:
    """What is said now beside how often such came true; then what cannot be scored."""
    whole = record.scores[0]
    found = [_present(one) for one in record.present]
    if not whole.statement_count:
        mode = enum_name(record, "mode").lower()
        market = f" of the {mode} market" if record.mode else ""
        found.append(
            f"Nothing{market} is scored yet: {whole.waiting_count:,} statements wait until their"
            " 24 hours are over."
        )
    if whole.unscored_count:
        reasons = ", ".join(
            f"{reason} {count:,}" for reason, count in sorted(whole.unscored_reasons.items())
        )
        found.append(
            f"{whole.unscored_count:,} statements are in no score, what happened is not known:"
            f" {reasons}."
        )
    return found


def _present(one: pb.PresentTouch) -> str:
    until = one.until_time.ToDatetime().strftime("%d %b %H:%M UTC")
    side = enum_name(one, "side").lower()
    said = f"{one.asset} {side} {one.position_id}: {_percent(one.probability)} until {until}"
    such, edges = one.such, _edges(one.such)
    if not such.count:
        return f"{said}; no statement of {edges} is scored yet"
    return f"{said}; of {such.count:,} statements of {edges}, {_percent(such.happened)} came true"


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def _edges(one: pb.TouchBin) -> str:
    return f"{100 * one.lowest:g} to {100 * one.highest:g} %"


def _show_scores(record: pb.TouchRecord) -> None:
    mode = enum_name(record, "mode").lower()
    since = record.since_time.ToDatetime().strftime("%Y-%m-%d")
    made = table(
        f"Touch within 24 h, {mode} market, since {since}",
        (
            *("asset", "statements >", "apart >", "unknown >", "Brier >", "miscalibrated >"),
            *("tells apart >", "rate >", "constant sigma >", "log score >", "rate >", "constant >"),
        ),
    )
    for one in record.scores:
        if not one.statement_count:
            made.add_row(one.asset, "0", "", f"{one.unscored_count:,}", *[""] * 8)
            continue
        made.add_row(
            one.asset or "all",
            f"{one.statement_count:,}",
            f"{one.independent_count:,}",
            f"{one.unscored_count:,}",
            *(
                f"{getattr(one, name):.4f}" if one.HasField(name) else "-"
                for name in (
                    *("brier_score", "miscalibration", "discrimination", "uncertainty"),
                    *("constant_brier", "log_score", "climatology_log_score"),
                    "constant_log_score",
                )
            ),
        )
    console.print(made)


def _show_bins(whole: pb.TouchScores) -> None:
    columns = ("said between", "said >", "happened >", "95 % >", "statements >", "apart >")
    made = table("Said and happened", columns)
    for one in whole.bins:
        means = (
            (
                _percent(one.said),
                _percent(one.happened),
                f"{100 * one.interval_low:.1f} to {100 * one.interval_high:.1f} %",
            )
            if one.count
            else ("-", "-", "-")
        )
        made.add_row(_edges(one), *means, f"{one.count:,}", f"{one.independent_count:,}")
    console.print(made)
