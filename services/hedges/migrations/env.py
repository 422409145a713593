"""What Alembic runs for hedges."""

from services.hedges.tables import metadata
from shared.database.migrations import run

run(metadata)
