"""Limits of accounts. Their alerts are made by the next CreateAlerts: the thresholds are others."""

from alembic import op

revision = "0107"
down_revision = "0106"


def upgrade() -> None:
    op.execute(
        "insert into threshold (id, type, condition, asset, low, medium, high, enabled,"
        " low_channels, medium_channels, high_channels, revision, updated_time) values"
        " ('ACCOUNT_DISTANCE-ACCOUNT-BELOW', 19, 2, '', 10, 7, 5, true, '{}', '{}', '{}', 1,"
        " '1970-01-01 00:00:00+00'),"
        " ('WALLET_EXPOSURE-ACCOUNT-ABOVE', 20, 1, '', 3, 6, 10, true, '{}', '{}', '{}', 1,"
        " '1970-01-01 00:00:00+00')"
    )
    op.execute("update service_state set threshold_version = threshold_version + 1")
