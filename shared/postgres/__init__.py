"""A PostgreSQL of our own for one machine: started, watched and stopped by the process that needs it.

Knows nothing of schemas, roles or tables; it hands out one administrator URL.
"""

from shared.postgres.server import EmbeddedPostgres

__all__ = ["EmbeddedPostgres"]
