"""A row of the history is one of its time, and a hand may correct it."""

from alembic import op

revision = "0002"
down_revision = "0001"

_CHANGED = "price_usd, price_time, previous_price_usd, previous_price_time, source, quality"


def upgrade() -> None:
    op.execute(
        "delete from price_history a using price_history b where a.market = b.market and a.asset ="
        " b.asset"
        " and a.price_time = b.price_time and a.id > b.id"
    )
    op.drop_index("price_history_by_time", "price_history")
    op.create_index(
        "price_history_by_time", "price_history", ["market", "asset", "price_time"], unique=True
    )
    op.execute(f"grant update ({_CHANGED}) on price_history to price")
