"""Inputs of a change of level as packed numbers, not as a text. Rows that are there stay as they
are.
"""

from alembic import op

revision = "0101"
down_revision = "0100"


def upgrade() -> None:
    op.execute("alter table ledger add column inputs bytea not null default ''::bytea")
    op.execute("create index ledger_gone on ledger (subject) where reason = 'GONE'")
