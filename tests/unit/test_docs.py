"""What the pages for people name exists: links, paths, names beside their files,
targets of make."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.pictures import CONSOLE, OF_A_PAST, OF_OUTCOMES, PICTURES, REPORT

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    [
        *(ROOT / f"{name}.md" for name in ("ARCHITECTURE", "CONTRIBUTING", "README")),
        *(ROOT / "docs").rglob("*.md"),
    ]
)
GLOSSARY = ROOT / "docs" / "GLOSSARY.md"
WORDS_CEILING = 50
# Folders of the repository, by which a path is told from a route or a media type.
TOP = ("deploy", "docs", "protos", "services", "shared", "tests")
FILE = re.compile(r"[\w<>*.-]+\.(?:py|md|proto|txt|toml|lock|binpb|ya?ml|js)")


def shown(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def spans(page: Path) -> list[str]:
    """What stands in backticks, line breaks read as spaces; fenced blocks are left out."""
    prose = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    return [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", prose)]


def commands(page: Path) -> list[str]:
    """Lines of fenced blocks, without their prompt, and spans."""
    blocks = re.findall(r"^```.*?\n(.*?)^```", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    return [line.removeprefix("$ ") for block in blocks for line in block.splitlines()] + spans(
        page
    )


def is_there(path: str) -> bool:
    """Whether the repository has it; `<service>` stands for any name, a room for its file too."""
    pattern = re.sub(r"<\w+>", "*", path.rstrip("/"))
    if "/" not in pattern:
        return next(ROOT.glob(pattern), None) is not None or any(
            next((ROOT / top).rglob(pattern), None) for top in TOP
        )
    return any(next(ROOT.glob(form), None) is not None for form in (pattern, f"{pattern}.py"))


def paths(page: Path) -> Iterator[str]:
    for span in spans(page):
        if (span.startswith(tuple(f"{top}/" for top in TOP)) and " " not in span) or FILE.fullmatch(
            span
        ):
            yield span


@pytest.mark.parametrize("page", PAGES, ids=shown)
def test_every_path_a_page_names_exists(page: Path) -> None:
    assert not [path for path in paths(page) if not is_there(path)]


@pytest.mark.parametrize("page", PAGES, ids=shown)
def test_every_link_inside_the_repository_leads_somewhere(page: Path) -> None:
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text())]
    inside = [link for link in links if link and "://" not in link]
    assert not [link for link in inside if not (page.parent / link).exists()]


@pytest.mark.parametrize("page", PAGES, ids=shown)
def test_every_target_of_make_a_page_names_is_one(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    asked = {
        found[1]
        for line in commands(page)
        if (found := re.match(r"make ([a-z][a-z-]*)\b(?!=)", line))
    }
    assert not asked - targets


@pytest.mark.parametrize("page", PAGES, ids=shown)
def test_a_name_beside_its_file_stands_in_it(page: Path) -> None:
    """`name` in `file.py`, and `file.py` (`name`, `other`)."""
    text = page.read_text()
    named = [(name, file) for name, file in re.findall(r"`(\w+)`\s+in\s+`([\w/]+\.py)`", text)]
    for file, names in re.findall(r"`([\w/]+\.py)`\s+\(((?:`\w+`(?:,\s+)?)+)\)", text):
        named += [(name, file) for name in re.findall(r"`(\w+)`", names)]
    missing = [
        f"{name} in {file}"
        for name, file in named
        if not re.search(rf"\b{name}\b", (ROOT / file).read_text())
    ]
    assert not missing


def test_the_glossary_is_short_and_in_order() -> None:
    rows = [
        line.split("|")[1].strip()
        for line in GLOSSARY.read_text().splitlines()
        if line.startswith("| ")
    ]
    words = rows[1:]
    assert 0 < len(words) <= WORDS_CEILING
    assert words == sorted(set(words))


def test_every_decision_is_in_the_index() -> None:
    folder = ROOT / "docs" / "decisions"
    listed = set(re.findall(r"\]\((\w[\w-]*\.md)\)", (folder / "README.md").read_text()))
    assert listed == {page.name for page in folder.glob("*.md")} - {"README.md"}


def test_every_picture_is_taken_by_the_command_and_shown_by_a_page() -> None:
    docs = ROOT / "docs"
    there = {picture.relative_to(docs).as_posix() for picture in docs.rglob("*.png")}
    assert there == {name for name, *_ in (*PICTURES, *OF_A_PAST, *OF_OUTCOMES, REPORT, CONSOLE)}
    links = {
        (page.parent / link).resolve()
        for page in PAGES
        for link in re.findall(r"\]\(([^)\s]+\.png)\)", page.read_text())
    }
    assert {docs / name for name in there} == links
