"""The whole schema, in 0100_start.sql; homes of before 0.2.0 come here by the history `before`."""

from pathlib import Path

from shared.database.migrations import run_sql

revision = "0100"
down_revision = None


def upgrade() -> None:
    run_sql(Path(__file__).with_suffix(".sql"))
