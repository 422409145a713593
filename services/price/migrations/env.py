"""Runs this history against the service's tables."""

from services.price.tables import metadata
from shared.database.migrations import run

run(metadata)
