"""What `sonic console` shows, as a drawing for a browser; it names no address outside."""

from __future__ import annotations

import re
from collections.abc import Mapping

from textual.widgets import DataTable

from services.cli.terminal.app import Console
from shared.tls_files import TlsFiles

COLUMNS, LINES = 130, 28
_COMMENTS = re.compile(r"<!--.*?-->", re.DOTALL)
_FONT_FACES = re.compile(r"@font-face\s*\{.*?\}", re.DOTALL)


async def drawn(addresses: Mapping[str, str], tls: TlsFiles | None, pane: str) -> str:
    """The console in front of this pane, as SVG in the machine's own monospaced letters."""
    app = Console(addresses, tls)
    async with app.run_test(size=(COLUMNS, LINES)) as pilot:
        while app.pane is None or app.pane.name != pane:
            await pilot.press("right")
            await pilot.pause()
        rows = app.query_one(f"#rows-{pane}", DataTable)
        while not rows.row_count:
            await pilot.pause(0.1)
        # Between the columns of a drawing a bar to scroll by has gaps.
        for scrolled in (app.screen, rows):
            scrolled.styles.scrollbar_size_vertical = 0
            scrolled.styles.scrollbar_size_horizontal = 0
        await pilot.pause(1)
        drawing = app.export_screenshot()
    drawing = _COMMENTS.sub("", _FONT_FACES.sub("", drawing))
    drawing = re.sub(r"font-family:\s*Fira Code\b", "font-family: 'DejaVu Sans Mono'", drawing)
    assert "url(http" not in drawing, "a font from outside"
    return drawing
