"""The whole schema, in 0100_start.sql."""

from pathlib import Path

from shared.database.migrations import run_sql

revision = "0100"
down_revision = None


def upgrade() -> None:
    run_sql(Path(__file__).with_suffix(".sql"))
