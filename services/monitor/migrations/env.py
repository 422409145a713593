"""What Alembic runs for monitor."""

from services.monitor.tables import metadata
from shared.database.migrations import run

run(metadata)
