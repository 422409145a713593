"""Weights of heat, entries by hand, sessions, the strategy and brokers."""

import sqlalchemy as sa
from alembic import op

revision = "0003_portfolio"
down_revision = "0002_venue_terms"


def upgrade() -> None:
    _add_heat()
    _add_entries_by_hand()
    _create_session()
    _create_strategy_and_broker()


def _time(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _texts(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text, nullable=False) for name in names]


def _add_heat() -> None:
    for name, default in (
        ("distance_weight", "0.6"),
        ("leverage_weight", "0.3"),
        ("collateral_weight", "0.1"),
    ):
        op.add_column(
            "house", sa.Column(name, sa.Float(53), nullable=False, server_default=sa.text(default))
        )
    op.add_column(
        "house",
        sa.Column("heat_model", sa.SmallInteger, nullable=False, server_default=sa.text("1")),
    )
    op.add_column(
        "house",
        sa.Column("heat_version", sa.BigInteger, nullable=False, server_default=sa.text("1")),
    )


def _add_entries_by_hand() -> None:
    op.add_column(
        "snapshot", sa.Column("manual", sa.Boolean, nullable=False, server_default=sa.text("false"))
    )
    op.add_column("snapshot", sa.Column("note", sa.Text, nullable=False, server_default=""))


def _create_session() -> None:
    op.create_table(
        "session",
        sa.Column("id", sa.Text, primary_key=True),
        *_texts("name", "note"),
        sa.Column("status", sa.SmallInteger, nullable=False),
        _time("started_time"),
        _time("ended_time", nullable=True),
        sa.Column("start_value_usd", sa.Float(53), nullable=False),
        *(
            sa.Column(name, sa.Float(53))
            for name in ("end_value_usd", "max_drawdown_usd", "max_drawdown_percent")
        ),
        sa.Index("session_open", "status", unique=True, postgresql_where=sa.text("status = 1")),
        sa.Index("session_newest", "started_time", "id"),
    )


def _create_strategy_and_broker() -> None:
    op.create_table(
        "strategy",
        sa.Column("strategy_key", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("start_value_usd", sa.Float(53)),
        *_texts("description"),
        _time("updated_time"),
        sa.CheckConstraint("strategy_key = 1", name="strategy_one_row"),
        sa.CheckConstraint(
            "start_value_usd >= 0 and start_value_usd < 'infinity'", name="strategy_start_value_usd"
        ),
    )
    op.create_table(
        "broker",
        sa.Column("name", sa.Text, primary_key=True),
        *_texts("image_path", "web_address"),
        sa.Column("total_holding_usd", sa.Float(53)),
        _time("created_time"),
        _time("updated_time"),
        sa.CheckConstraint(
            "total_holding_usd >= 0 and total_holding_usd < 'infinity'", name="broker_holding_usd"
        ),
    )
