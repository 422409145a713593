"""A value of a report as a cell of its page: numbers with their unit, levels, bars. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TypeGuard

from services.cyclone.report.domain.document import ReportColumn, Row, Value
from services.cyclone.report.domain.elements import Markup, element, joined, text

NUMBERS = frozenset({"usd", "percent", "ratio", "seconds", "milliseconds", "count", "number"})
_MARKED = frozenset({"level", "state"})
_TRAVEL = "travel"
_BAR_WIDTH, _BAR_HEIGHT = 120, 10


def is_right(column: ReportColumn, rows: Sequence[Row]) -> bool:
    """Whether a column stands at the right, head and cells: one of figures alone, by its unit or by
    what is known of it.
    """
    known = [value for row in rows if (value := row.get(column.name)) not in (None, "")]
    return column.unit in NUMBERS or (bool(known) and all(map(_is_figure, known)))


def cell(column: ReportColumn, value: Value, *, right: bool = False) -> Markup:
    """What is not known is a dash, never 0."""
    place = "number" if right else None
    if value is None or value == "":
        dash = element("span", "-", class_="unknown", title="not known")
        return element("td", dash, class_=place)
    if column.unit == _TRAVEL and isinstance(value, float | int):
        return element("td", _travel(float(value)))
    if _is_figure(value):
        return element("td", _number(column.unit, float(value)), class_=place)
    if column.unit == "time":
        return element("td", _moment(str(value)))
    if column.unit in _MARKED:
        return element("td", element("span", value, class_=f"mark {_word(str(value))}"))
    return element("td", value)


def _is_figure(value: Value) -> TypeGuard[float | int]:
    return isinstance(value, float | int) and not isinstance(value, bool)


def _number(unit: str, value: float) -> Markup:
    shown = {
        "usd": lambda: f"{_signed(value)}${_digits(abs(value))}",
        "percent": lambda: f"{value:,.2f} %",
        "ratio": lambda: f"{value:,.3g}",
        "seconds": lambda: f"{value:,.3f} s",
        "milliseconds": lambda: f"{value:,.1f} ms",
        "count": lambda: f"{value:,.0f}",
    }.get(unit, lambda: f"{value:,.6g}")()
    # The whole number stays readable for programs.
    return element("data", shown, value=_exact(value))


def _exact(value: float) -> str:
    return str(int(value)) if value.is_integer() else repr(value)


def _signed(value: float) -> str:
    return "-" if value < 0 else ""


def _digits(value: float) -> str:
    return f"{value:,.2f}" if value >= 1 or not value else f"{value:.6g}"


def _moment(value: str) -> Markup:
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        return text(value)
    return element("time", f"{at:%Y-%m-%d %H:%M:%S} UTC", datetime=value)


def _travel(travel_percent: float) -> Markup:
    """A bar with liquidation at its left end, the entry in its middle, profit to the right; the
    mark is its tip. Past liquidation is said in words.
    """
    words = f"{travel_percent:,.1f} %"
    if travel_percent <= -100:
        words = f"{words}, past liquidation"
    place = (min(max(travel_percent, -100.0), 100.0) + 100) / 200 * _BAR_WIDTH
    middle = _BAR_WIDTH / 2
    losing = travel_percent < 0
    bar = element(
        "svg",
        element("rect", class_="track", x=0, y=0, width=_BAR_WIDTH, height=_BAR_HEIGHT),
        element(
            "rect",
            class_="losing" if losing else "winning",
            x=f"{min(place, middle):.1f}",
            y=0,
            width=f"{abs(place - middle):.1f}",
            height=_BAR_HEIGHT,
        ),
        element("line", class_="entry", x1=middle, x2=middle, y1=0, y2=_BAR_HEIGHT),
        element(
            "rect", class_="tip", x=f"{max(place - 1.5, 0):.1f}", y=0, width=3, height=_BAR_HEIGHT
        ),
        role="img",
        aria_label=f"travel {words}",
        viewBox=f"0 0 {_BAR_WIDTH} {_BAR_HEIGHT}",
        width=_BAR_WIDTH,
        height=_BAR_HEIGHT,
    )
    loud = "HIGH" if travel_percent <= -100 else "losing" if losing else ""
    said = element(
        "span", element("data", words, value=_exact(travel_percent)), class_=f"travel {loud}"
    )
    return joined([bar, " ", said])


def _word(value: str) -> str:
    """Names a colour only when it is a plain word."""
    return value if value.isalpha() and value.isascii() and value.isupper() else ""
