"""The running role loses rights it never uses.

The anchor says where the ledger stood when its head last left the house: it moves on and is never
taken away.
"""

from alembic import op

revision = "0006"
down_revision = "0005"

_UNUSED = ("delete on anchor", "delete on docket", "delete on caller_epoch")


def upgrade() -> None:
    for right in _UNUSED:
        op.execute(
            f"do $$ begin execute format('revoke {right} from %I', current_schema()); end $$"
        )
