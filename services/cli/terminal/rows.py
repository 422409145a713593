"""A table of rows whose cursor stays on what it stands on while they are read anew."""

from __future__ import annotations

from collections.abc import Sequence

from google.protobuf.message import Message
from rich.text import Text
from textual import events
from textual.widgets import DataTable

_MOVES = frozenset({"up", "down", "pageup", "pagedown", "home", "end", "ctrl+home", "ctrl+end"})


class Rows(DataTable[Text]):
    """Once the row under the cursor is gone the cursor stands on none until it is moved: what came
    into its place was read by nobody.
    """

    def __init__(self, known_by: str, id: str) -> None:
        """`known_by`: the field by which a row is the same one when it is read anew."""
        super().__init__(cursor_type="row", zebra_stripes=True, id=id)
        self._known_by = known_by
        self._messages: list[Message] = []

    @property
    def row_under_cursor(self) -> Message | None:
        """None when there is none, or when it is gone."""
        place = self.cursor_row
        return self._messages[place] if self.show_cursor and place < len(self._messages) else None

    def put(self, found: Sequence[tuple[Message, Sequence[Text]]]) -> None:
        """These rows, each with its cells, instead of those that are there."""
        before, place, offset = self.row_under_cursor, self.cursor_row, self.scroll_offset
        self._messages = [message for message, _ in found]
        if before is not None:
            known = [getattr(message, self._known_by) for message in self._messages]
            name = getattr(before, self._known_by)
            self.show_cursor = name in known
            place = known.index(name) if self.show_cursor else place
        self.clear()
        for _, line in found:
            self.add_row(*line)
        self.move_cursor(row=min(place, max(0, len(found) - 1)))
        self.scroll_to(offset.x, offset.y, animate=False)

    def on_key(self, event: events.Key) -> None:
        """The first move only shows where the cursor is."""
        if event.key in _MOVES and not self.show_cursor:
            self.show_cursor = True
            event.stop()

    def on_click(self) -> None:
        """What is clicked is meant."""
        self.show_cursor = True
