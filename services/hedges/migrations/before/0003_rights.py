"""The running role loses rights it never uses.

A change of links is written once.
"""

from alembic import op

revision = "0003"
down_revision = "0002"

_UNUSED = ("update on link_change", "delete on caller_epoch")


def upgrade() -> None:
    for right in _UNUSED:
        op.execute(
            f"do $$ begin execute format('revoke {right} from %I', current_schema()); end $$"
        )
