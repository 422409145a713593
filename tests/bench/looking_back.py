"""Looking back: the scorecard of as many ledger rows as are read, and the record of half a year of
touch probabilities.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np

from services.alerts.domain.kinds import AlertType, Level
from services.alerts.ledger.domain.chain import Entry, Sealed
from services.alerts.scorecard.domain.incidents import Message, ToldMessages
from services.alerts.scorecard.domain.rules import scorecard
from services.positions.touch_record.domain.scores import scores
from services.positions.touch_record.domain.statements import AssetStatements, StatementState
from shared.touch import TouchModel
from tests.bench.figures import Figure, Limit
from tests.bench.past import cpu_ms
from tests.bench.running import Run, say

_GOAL: Final = "G21"
# As many rows as a scorecard reads; each incident is raised, raised again, told again and over.
_ROWS, _EACH = 50_000, 4
_DAYS, _ASSETS, _POSITIONS = 180, ("BTC", "ETH", "SOL"), 20
_NOW: Final = datetime(2026, 11, 30, tzinfo=UTC)
_TYPES: Final = (AlertType.LIQUIDATION_DISTANCE, AlertType.HEAT_INDEX, AlertType.TRAVEL_PERCENT)
_STEPS: Final = (
    ("RAISED", Level.NORMAL, Level.MEDIUM),
    ("RAISED", Level.MEDIUM, Level.HIGH),
    ("TOLD", Level.HIGH, Level.HIGH),
    ("LOWERED", Level.HIGH, Level.NORMAL),
)


async def looking_back(run: Run) -> list[Figure]:
    """CPU of this process; what reads it from the database is not in it."""
    say(f"  {_ROWS:,} rows of the ledger, {_DAYS} days of touch probabilities")
    rows, begin = list(_rows()), _NOW - timedelta(days=30)
    heard = [
        Message(row.entry.alert_id + ".1", row.entry.entry_time, None) for row in rows[::_EACH]
    ]
    told = ToldMessages(heard, begin - timedelta(days=7))
    kept = list(_statements(np.random.default_rng(run.options.seed)))
    count = sum(map(len, kept))

    def carded() -> None:
        scorecard(rows, {}, told, begin, _NOW, timedelta(hours=24))

    def scored() -> None:
        scores("", kept)

    return [
        Figure(
            _GOAL,
            f"CPU of the scorecard of {_ROWS:,} rows, {len(heard):,} incidents",
            cpu_ms(carded),
            limit=Limit(5_000, of_ratio=False),
        ),
        Figure(
            _GOAL,
            f"CPU of the record of {count:,} touch probabilities",
            cpu_ms(scored),
            limit=Limit(5_000, of_ratio=False),
        ),
    ]


def _rows() -> Iterator[Sealed]:
    """Incidents one after the other, over a month."""
    incidents = _ROWS // _EACH
    for number in range(incidents):
        begin = _NOW - timedelta(days=30) * (1 - number / incidents)
        facts = {
            "incident_id": f"alert-{number}.1",
            "asset": "SOL",
            "wallet": "main",
            "side": "LONG",
            "size_usd": "1000",
            "liquidation_price_usd": "80",
        }
        kind = _TYPES[number % len(_TYPES)]
        for place, (reason, before, after) in enumerate(_STEPS):
            time = begin + timedelta(minutes=5 * place)
            told = (time, f"alert-{number}", kind, "evaluation", reason, before, after)
            entry = Entry(*told, 1.0, None, json.dumps(facts), "", f"position-{number % 500}")
            yield Sealed(number * _EACH + place + 1, entry, b"", b"")


def _statements(chance: np.random.Generator) -> Iterator[AssetStatements]:
    """Of every hour; each came true as often as was said."""
    for hour in range(_DAYS * 24):
        moment = _NOW - timedelta(days=_DAYS) + timedelta(hours=hour)
        for asset in _ASSETS:
            said = chance.uniform(0.0, 1.0, _POSITIONS)
            lines = np.where(chance.uniform(0.0, 1.0, _POSITIONS) < said, 90.0, 70.0)
            yield AssetStatements(
                2,
                asset,
                moment,
                moment + timedelta(hours=24),
                TouchModel.EMPIRICAL,
                0.01,
                np.ones(_POSITIONS, np.int8),
                np.log(100.0 / lines),
                lines,
                said,
                StatementState.SCORED,
                120.0,
                80.0,
            )
