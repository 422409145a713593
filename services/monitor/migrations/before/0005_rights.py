"""The running role loses rights it never uses.

A run is written once: what it found is never rewritten.
"""

from alembic import op

revision = "0005"
down_revision = "0004"

_UNUSED = ("update on run", "delete on caller_epoch")


def upgrade() -> None:
    for right in _UNUSED:
        op.execute(
            f"do $$ begin execute format('revoke {right} from %I', current_schema()); end $$"
        )
