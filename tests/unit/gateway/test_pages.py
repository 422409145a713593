"""The pages of the router and those of the gateway are the same."""

from __future__ import annotations

import gzip
import re
from importlib import resources
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from services.gateway import peers
from services.gateway.pages import PAGES, Pages

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


def _imports(module: str) -> set[str]:
    """A module and all that it imports, by their names below web."""
    found, left = set(), {module}
    while left:
        name = left.pop()
        found.add(name)
        text = (WEB / name).read_text()
        left |= set(re.findall(r'^import .*"/web/([^"]+)";$', text, re.MULTILINE)) - found
    return found


def test_what_the_overview_needs_is_asked_for_at_once_and_nothing_else_is() -> None:
    asked = re.findall(r'rel="modulepreload" href="/web/([^"]+)"', (WEB / "index.html").read_text())
    assert set(asked) == _imports("app.js") | _imports("pages/overview.js")


async def _got(path: str) -> Response:
    return await Pages(()).answer(path, Request({"type": "http", "headers": []}))


async def test_a_page_names_its_files_by_what_they_hold_and_they_are_kept_for_ever() -> None:
    shell = await _got("/")
    assert shell.headers["cache-control"] == "no-cache"
    page = bytes(shell.body).decode()
    named = re.findall(r'(?:href|src)="(/web/[^"]+)"', page)
    (release,) = {name.split("/")[2] for name in named if name != "/web/app.js"}
    for name in named:
        file = await _got(name)
        kept = "no-cache" if name == "/web/app.js" else "max-age=31536000, immutable"
        assert file.headers["cache-control"] == kept, name
    module = bytes((await _got(f"/web/{release}/live.js")).body).decode()
    router = bytes((await _got(f"/web/{release}/router.js")).body).decode()
    assert f"import(`/web/{release}/pages/" in router
    assert "function listen" in module
    assert not re.search(rb"""["'`]/web/(?!r-)""", router.encode())


async def test_by_its_plain_name_a_module_is_the_one_that_runs_and_no_second_one() -> None:
    page = bytes((await _got("/")).body).decode()
    (live,) = re.findall(r'href="(/web/r-\w+/live\.js)"', page)
    assert bytes((await _got("/web/live.js")).body).decode() == f'export * from "{live}";\n'
    assert "location.reload()" in bytes((await _got("/web/app.js")).body).decode()
    assert Pages(()).label(live) == "/web/live.js"
    assert "/web/r-0000000000000000/live.js" not in Pages(())


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
