"""Hourly candles of a year, by which the touch probability learns."""

from alembic import op

revision = "0101"
down_revision = "0100"


def upgrade() -> None:
    op.execute(
        """
        create table hourly_candle (
            market smallint not null,
            asset text not null,
            hour integer not null,
            open_usd double precision not null,
            high_usd double precision not null,
            low_usd double precision not null,
            close_usd double precision not null,
            source text not null,
            primary key (market, asset, hour),
            constraint low_usd_is_a_price check (low_usd > 0 and low_usd < 'infinity'),
            constraint a_candle_holds_its_prices check (
                low_usd <= least(open_usd, close_usd)
                and greatest(open_usd, close_usd) <= high_usd and high_usd < 'infinity'
            )
        )
        """
    )
