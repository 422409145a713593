"""The pages of the router and those of the gateway are the same."""

from __future__ import annotations

import gzip
import re
from importlib import resources
from pathlib import Path

from services.gateway import peers
from services.gateway.pages import PAGES

WEB = resources.files("services.gateway") / "web"
ROUTE = re.compile(r'\{ path: "([^"]+)", name: "(\w+)"')


def test_every_page_of_the_router_is_served_and_has_its_module() -> None:
    routes = ROUTE.findall((WEB / "router.js").read_text())
    assert [path for path, _ in routes] == list(PAGES)
    for _, name in routes:
        module = (WEB / "pages" / f"{name}.js").read_text()
        assert re.search(r"^export (const|function) title", module, re.MULTILINE), name
        assert re.search(r"^export function mount\(", module, re.MULTILINE), name


def test_no_module_of_a_page_is_without_a_way_to_it() -> None:
    named = {name for _, name in ROUTE.findall((WEB / "router.js").read_text())}
    there = {file.name.removesuffix(".js") for file in (WEB / "pages").iterdir()}
    assert {name for name in there if "." not in name} == named


def test_a_service_that_hangs_is_marked_within_ten_seconds() -> None:
    looked_at = re.search(r"HEALTH_MS = (\d+);", (WEB / "titlebar.js").read_text())
    assert looked_at is not None
    assert int(looked_at[1]) / 1000 + peers._HEALTH_SECONDS < 10 / 1.5


def test_the_dashboard_is_light() -> None:
    """All pages together, without the library of the charts, as they are sent: less than 250 kB."""
    weight = sum(
        len(gzip.compress(file.read_bytes()))
        for kind in ("html", "js", "css", "svg")
        for file in Path(str(WEB)).rglob(f"*.{kind}")
        if "vendor" not in file.parts
    )
    assert weight < 250_000
