"""How much one commit of a step takes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

_LEAST_ROWS = 500


class PartSize:
    """Halved when a caller gave up before the end, doubled after an end: so a slow machine, or a
    short interval, needs more parts and is not stopped by one that is too large.
    """

    def __init__(self, most_rows: int) -> None:
        self._most_rows = self.rows = most_rows

    @contextmanager
    def tried(self) -> Iterator[None]:
        """For what commits parts of this size."""
        try:
            yield
        except asyncio.CancelledError:
            self.rows = max(self.rows // 2, min(_LEAST_ROWS, self._most_rows))
            raise
        self.rows = min(self.rows * 2, self._most_rows)
