"""docs/upgrading.md names every migration that the release before may not run over."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
# Adding is harmless to a program that knows nothing of it, a column that must be given is not.
_TAKES_AWAY = re.compile(
    r"""drop_(?:table|column|constraint)|rename_table|new_column_name|alter_column"""
    r"""|\bdrop\s+(?:table|column|constraint)|\brename\s+(?:to|column)|\bset\s+not\s+null"""
    r"""|\balter\s+column\s+\w+\s+type"""
    r"""|add_column\([^)]*nullable=False(?![^)]*server_default)""",
    re.IGNORECASE,
)


def revisions() -> dict[str, str]:
    """Text by service and number, of what follows the start of each history."""
    return {
        f"{file.parents[2].name} {file.name[:4]}": file.read_text()
        for file in sorted((ROOT / "services").glob("*/migrations/versions/*.py"))
        if not file.name.startswith("0100_")
    }


def test_each_migration_that_takes_something_away_is_told() -> None:
    found = {name for name, text in revisions().items() if _TAKES_AWAY.search(text)}
    page = (ROOT / "docs" / "upgrading.md").read_text()
    told = set(re.findall(r"^\| `(\w+ \d{4})` \|", page, re.MULTILINE))
    assert found == told


def test_what_takes_something_away_is_recognised() -> None:
    for line in (
        'op.drop_column("alert", "note")',
        'op.execute("alter table alert drop column note")',
        'op.add_column("alert", sa.Column("note", sa.Text, nullable=False))',
        'op.execute("alter table a alter column b set not null")',
        'op.execute("alter table a rename column b to c")',
    ):
        assert _TAKES_AWAY.search(line), line
    for line in (
        'op.add_column("a", sa.Column("b", sa.Text, nullable=False, server_default=""))',
        'op.execute("alter table a add column b text")',
        'op.create_table("a", sa.Column("b", sa.Text, nullable=False))',
    ):
        assert not _TAKES_AWAY.search(line), line
