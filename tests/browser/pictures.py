"""The pictures of README and docs, all by one command: `make pictures`.

Starts the demo in a home of its own, lets its market move, visits each page at a fixed size, and
writes docs. With an address it takes those of the system that runs there.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path

import httpx

from tests.browser import png
from tests.browser.chromium import Browser, found, started
from tests.browser.visit import sitting

DOCS = Path(__file__).resolve().parents[2] / "docs"
LARGEST_BYTES = 150_000
# Cycles before the first picture: enough for a chart, and for the crash of the demo to begin.
CYCLES = 14
NEAREST, NEWEST = "a.name", "#cycles tbody a"
# File, address (or a link on the page before), width, height, theme.
PICTURES = (
    ("dashboard.png", "/", 1400, 1250, "dark"),
    ("pictures/position.png", NEAREST, 1400, 1250, "dark"),
    ("phone.png", "/", 390, 1100, "light"),
    ("pictures/alerts.png", "/alerts", 1400, 1000, "dark"),
    ("pictures/thresholds.png", "/thresholds", 1400, 1000, "dark"),
    ("pictures/rules.png", "/rules", 1400, 700, "dark"),
    ("pictures/hedges.png", "/hedges", 1400, 900, "dark"),
    ("pictures/monitors.png", "/monitors", 1400, 1000, "dark"),
    ("pictures/deliveries.png", "/deliveries", 1400, 1000, "dark"),
    ("pictures/wallets.png", "/wallets", 1400, 800, "dark"),
    ("pictures/cycles.png", "/cycles", 1400, 1000, "dark"),
    ("pictures/cycle.png", NEWEST, 1400, 1000, "dark"),
    ("pictures/prices.png", "/prices", 1400, 1250, "dark"),
    ("pictures/portfolio.png", "/portfolio", 1400, 1250, "dark"),
    ("pictures/logs.png", "/logs", 1400, 900, "dark"),
)
LOADED = (
    "document.querySelector('.page .panel') !== null && !document.querySelector('.toast')"
    " && [...document.querySelectorAll('.loading')].every(one => !one.offsetParent)"
    " && document.getElementById('worst').innerText.length > 20"
)
# A limit as it is typed: its preview is half of what the page is for.
TYPED = """(() => {
    const input = document.querySelector('[data-id=HEAT_INDEX-POSITION-ABOVE] .limit input');
    if (!input) return;
    input.focus();
    input.value = '6';
    input.dispatchEvent(new Event('input', {bubbles: true}));
})()"""


async def take(browser: Browser, address: str, wanted: frozenset[str]) -> list[str]:
    """Writes the pictures, by a palette; a line for each that is too large for a repository."""
    too_large = []
    for name, place, width, height, theme in PICTURES:
        target = DOCS / name
        if wanted and target.stem not in wanted:
            continue
        link = place
        if not place.startswith("/"):
            await browser.show(f"{address}{'/' if place == NEAREST else '/cycles'}")
            await browser.until(f"document.querySelector('{place}') !== null")
            link = await browser.run(f"document.querySelector('{place}').getAttribute('href')")
        await browser.show(f"{address}{link}", width, height)
        await browser.run(f"localStorage.setItem('theme', '{theme}')")
        await browser.show(f"{address}{link}", width, height)
        await browser.until(LOADED)
        if target.stem == "thresholds":
            await browser.run(TYPED)
            await browser.until(
                "document.querySelector('.row-words')?.innerText.includes('Would fire')"
            )
        # Fonts, charts and the last answers.
        await asyncio.sleep(1)
        await browser.picture(target)
        target.write_bytes(png.smaller(target.read_bytes()))
        size = target.stat().st_size
        print(f"docs/{name}  {size // 1000} kB", flush=True)
        if size > LARGEST_BYTES:
            too_large.append(f"docs/{name} has {size:,} bytes")
    return too_large


async def main(address: str, wanted: frozenset[str]) -> int:
    """Exit code 1 when there is no browser, or a picture is too large."""
    path = found()
    if path is None:
        print("no Chromium on this machine: no pictures")
        return 1
    home = Path(tempfile.mkdtemp(prefix="sonic-pictures-"))
    home.chmod(0o711)
    try:
        async with AsyncExitStack() as stack:
            if address:
                browser = await stack.enter_async_context(started(path))
            else:
                visit = await stack.enter_async_context(sitting(home, {}))
                browser, address = visit.page, str(visit.web.base_url).rstrip("/")
                for _ in range(CYCLES):
                    await visit.post("/v1/cycles:run", {})
            too_large = await take(browser, address, wanted)
    except httpx.HTTPError as error:
        print(f"the system does not answer: {error!r}")
        return 1
    finally:
        shutil.rmtree(home, ignore_errors=True)
    for line in too_large:
        print(line)
    return 1 if too_large else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="only these pictures, e.g. thresholds")
    parser.add_argument("--address", default="", help="of a system that runs")
    given = parser.parse_args()
    raise SystemExit(asyncio.run(main(given.address.rstrip("/"), frozenset(given.names))))
