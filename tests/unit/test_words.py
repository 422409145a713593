"""Words that were given up stay given up: the field's own are in docs/GLOSSARY.md."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# Of code and of what is written about it; ordinary words that English needs are not here.
RETIRED = (
    *("desk", "docket", "seating", "broom", "roster", "succession", "aftermath", "sightings"),
    *("politeness", "coat", "twin", "passbook", "crowds", "lane", "bell", "wealth", "tenure"),
    *("rule_words", "wording", "house_key", "demo_anchor"),
)
_WORD = re.compile(rf"(?<![A-Za-z])_?({'|'.join(RETIRED)})s?(?![A-Za-z])", re.IGNORECASE)
# What tells of the past: histories of tables, the log of changes, decisions, and this list.
_PAST = ("/migrations/", "docs/decisions/", "CHANGELOG.md", "tests/unit/test_words.py")
_FOLDERS = ("services", "shared", "protos/sonic", "tests", "docs", "deploy")


@pytest.mark.slow
def test_no_retired_word_is_used_again() -> None:
    pages = [ROOT / name for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md")]
    files = [
        path
        for folder in _FOLDERS
        for kind in ("*.py", "*.proto", "*.md", "*.yaml", "*.js", "*.html")
        for path in (ROOT / folder).rglob(kind)
    ]
    found = [
        f"{path.relative_to(ROOT)}:{number}: {match[0]}"
        for path in (*pages, *files)
        if not any(past in path.as_posix() for past in _PAST)
        for number, line in enumerate(path.read_text().splitlines(), 1)
        for match in _WORD.finditer(line)
    ]
    assert not found
