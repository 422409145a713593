"""The running role loses rights it never uses.

An event is written once, and the lease is there for ever.
"""

from alembic import op

revision = "0002"
down_revision = "0001"

_UNUSED = ("update on event", "delete on lease")


def upgrade() -> None:
    for right in _UNUSED:
        op.execute(
            f"do $$ begin execute format('revoke {right} from %I', current_schema()); end $$"
        )
