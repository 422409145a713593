"""What Alembic runs for withdrawals."""

from services.withdrawals.tables import metadata
from shared.database.migrations import run

run(metadata)
