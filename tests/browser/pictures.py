"""Pictures of the pages for the README and the docs, of a system that runs:
`make run` beside `make pictures`.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from tests.browser.chromium import found, started

DOCS = Path(__file__).resolve().parents[2] / "docs"
NEAREST = "a.name"
# File, address, width, height, theme.
PICTURES = (
    ("dashboard.png", "/", 1400, 1250, "dark"),
    ("phone.png", "/", 390, 1100, "light"),
    ("pictures/alerts.png", "/alerts", 1400, 1000, "dark"),
    ("pictures/position.png", NEAREST, 1400, 1250, "dark"),
)
LOADED = (
    "document.querySelector('.page .panel') !== null"
    " && !document.querySelector('.loading, .toast')"
    " && document.getElementById('worst').innerText.length > 20"
)


async def take(address: str) -> None:
    """Writes every picture; the nearest position is found by its link on the overview."""
    path = found()
    if path is None:
        raise SystemExit("no Chromium on this machine: no pictures")
    async with started(path) as browser:
        link = ""
        for name, place, width, height, theme in PICTURES:
            await browser.show(f"{address}{link if place == NEAREST else place}", width, height)
            await browser.run(f"localStorage.setItem('theme', '{theme}')")
            await browser.show(f"{address}{link if place == NEAREST else place}", width, height)
            await browser.until(LOADED)
            await asyncio.sleep(1)
            await browser.picture(DOCS / name)
            link = link or await browser.run(
                f"document.querySelector('{NEAREST}').getAttribute('href')"
            )
            print(DOCS.name, name)


if __name__ == "__main__":
    asyncio.run(take(sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8080"))
