"""What Alembic runs for xcom."""

from services.xcom.tables import metadata
from shared.database.migrations import run

run(metadata)
