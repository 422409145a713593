"""What grows with time in the tables of positions and hedges goes with time, by default."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from services.hedges import server as hedges_server
from services.hedges import tables as hedges_tables
from services.positions import server as positions_server
from services.positions import tables as positions_tables
from services.positions.store.retention import KINDS

# By table what of it is forgotten by age, see services.positions.store.retention.
AGED = {
    "position": "closed",
    "refused_row": "refused_rows",
    "position_event": "events",
    "request": "requests",
    "session": "sessions",
    "snapshot": "snapshots old_snapshots",
    "touch_statement": "touch_statements",
    "touch_history": "touch_history",
}
# By table why it does not grow with time.
BOUNDED = {
    "wallet": "made by people",
    "broker": "made by people",
    "strategy": "one row",
    "asset": "one a name that is traded",
    "demo_price": "one an asset of the simulation",
    "feed": "one a wallet and venue",
    "absence": "goes with its position",
    "venue_terms": "goes with its position",
    "quarantined_row": "goes with its position",
    "input_change": "each pass takes it away",
    "service_state": "one row",
    "caller_epoch": "one a caller",
    "step_answer": "six hours, see shared.database.fence",
}


def test_every_table_of_positions_has_an_age_or_a_bound() -> None:
    assert set(positions_tables.metadata.tables) == AGED.keys() | BOUNDED.keys()
    assert set(" ".join(AGED.values()).split()) == set(KINDS)


def test_every_age_is_set_by_default() -> None:
    config = positions_server.Config(database_url=SecretStr("postgresql://nobody@localhost/none"))
    days = positions_server._kept_days(config)
    assert days.keys() == set(KINDS)
    assert all(0 < kept <= 1100 for kept in days.values())


def test_every_table_of_hedges_has_an_age_or_a_bound() -> None:
    bounded = {"hedge", "modifiers", "caller_epoch", "step_answer"}
    assert set(hedges_tables.metadata.tables) == bounded | {"link_change"}
    kept = hedges_server.Config.model_fields["hedges_history_days"].default
    assert kept == pytest.approx(90.0)
