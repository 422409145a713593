"""A PostgreSQL of our own for one machine: started, watched and stopped by the process that needs
it.
"""

from shared.postgres.server import EmbeddedPostgres

__all__ = ["EmbeddedPostgres"]
