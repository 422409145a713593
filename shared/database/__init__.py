"""PostgreSQL for a service: one pool, bulk COPY, keyset pages, roles and migrations.

Import from the modules.
"""
