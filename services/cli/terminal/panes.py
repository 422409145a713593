"""What the console shows: panes of rows, each a verb that lists, one that watches, and keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from services.cli.nouns import NOUNS
from services.cli.schema.verbs import Verb

_BY_NAME = {noun.name: {verb.name: verb for verb in noun.verbs} for noun in NOUNS}


@dataclass(frozen=True, slots=True)
class Action:
    """A key on a row: `verb` gets the row's `id_field` as its first argument; `asks` for options
    in a form; `reads` when its answer is to be shown.
    """

    key: str
    words: str
    verb: Verb
    id_field: str = "id"
    asks: bool = False
    reads: bool = False


@dataclass(frozen=True, slots=True)
class Pane:
    """A tab: rows of `lists`, again whenever `watches` says something, or every few seconds."""

    name: str
    lists: Verb
    watches: Verb | None = None
    actions: tuple[Action, ...] = ()
    shows: Verb | None = None
    id_field: str = "id"
    fixed: Mapping[str, object] = field(default_factory=dict)

    @property
    def known_by(self) -> str:
        """The field that tells its rows apart: what its keys act by."""
        return self.actions[0].id_field if self.actions else self.id_field


def _verb(noun: str, name: str) -> Verb:
    return _BY_NAME[noun][name]


_POSITIONS = Verb(
    "list",
    "positions.PositionsService.ListPositions",
    fixed={"order_by": "worst"},
    columns=(
        "asset",
        "side",
        "wallet",
        "mark_price_usd",
        "risk_liquidation_price_usd",
        "liquidation_distance_percent",
        "travel_percent",
        "heat_index",
        "pnl_usd",
    ),
    rows="positions",
)
_POSITION = Verb("show", "positions.PositionsService.GetPosition", ("id",))
_ALERTS = Verb(
    "list",
    "alerts.AlertsService.ListAlerts",
    columns=("id", "level", "type", "asset", "side", "evaluated_value", "status", "why"),
)
_EVENTS = Verb(
    "list",
    "cyclone.CycloneService.ListEvents",
    columns=("event_time", "severity", "source", "message"),
)
_REPORT = Verb("report", "cyclone.CycloneService.GetReport", ("cycle_id",), seconds=60.0)

PANES = (
    Pane(
        "Positions",
        _POSITIONS,
        _verb("positions", "watch"),
        (
            Action("e", "edit", _verb("positions", "edit"), asks=True),
            Action("d", "remove", _verb("positions", "remove")),
        ),
        _POSITION,
    ),
    Pane(
        "Alerts",
        _ALERTS,
        _verb("alerts", "watch"),
        (
            Action("a", "acknowledge", _verb("alerts", "ack")),
            Action("z", "silence", _verb("alerts", "silence"), asks=True),
            Action("u", "unsilence", _verb("alerts", "unsilence")),
            Action("e", "edit", _verb("alerts", "edit"), asks=True),
            Action("d", "remove", _verb("alerts", "remove")),
        ),
        _verb("alerts", "show"),
    ),
    Pane(
        "Thresholds",
        _verb("thresholds", "list"),
        None,
        (
            Action("e", "edit", _verb("thresholds", "set"), asks=True),
            Action("o", "on", _verb("thresholds", "enable")),
            Action("f", "off", _verb("thresholds", "disable")),
        ),
    ),
    Pane(
        "Hedges",
        _verb("hedges", "list"),
        _verb("hedges", "watch"),
        (Action("e", "edit", _verb("hedges", "edit"), asks=True),),
        _verb("hedges", "ladder"),
    ),
    Pane(
        "Monitors",
        _verb("monitors", "list"),
        _verb("monitors", "watch"),
        (
            Action("n", "run now", _verb("monitors", "run"), "name"),
            Action("z", "snooze", _verb("monitors", "snooze"), "name", asks=True),
            Action("e", "edit", _verb("monitors", "set"), "name", asks=True),
        ),
        _verb("monitors", "show"),
        "name",
    ),
    Pane(
        "Deliveries",
        _verb("deliveries", "list"),
        None,
        (Action("x", "resend", _verb("deliveries", "resend")),),
        _verb("deliveries", "show"),
        "message_id",
    ),
    Pane(
        "Cycles",
        _verb("cycles", "list"),
        None,
        (
            Action("c", "cancel", _verb("cycles", "cancel")),
            Action("p", "report", _REPORT, reads=True),
        ),
        _verb("cycles", "show"),
    ),
    Pane(
        "Prices",
        _verb("prices", "list"),
        _verb("prices", "watch"),
        (),
        _verb("prices", "show"),
        "asset",
    ),
    Pane(
        "Withdrawals",
        _verb("withdrawals", "decisions"),
        _verb("withdrawals", "watch"),
        (),
        _verb("withdrawals", "explain"),
    ),
    Pane("Logs", _EVENTS),
)
