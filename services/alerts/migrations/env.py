"""Runs this history against the service's tables."""

from services.alerts.tables import metadata
from shared.database.migrations import run

run(metadata)
