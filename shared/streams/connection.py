"""What a stream is read from, and how it ends."""

from collections.abc import AsyncIterator, Callable
from typing import Final, Protocol

# A longer message ends the connection: nothing we ask for comes near it.
MAX_MESSAGE_BYTES: Final = 1024 * 1024
CONNECT_SECONDS: Final = 10.0


class Broken(Exception):
    """The connection is of no use any more; `reason` is an upper-case word for people."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Unreadable(Exception):
    """A message that says nothing we know; `reason` is an upper-case word."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Connection(Protocol):
    """One that is open. Reading and asking raise Broken; the end of reading is its end."""

    def __aiter__(self) -> AsyncIterator[str | bytes]:
        """Messages as they come: text, or bytes where the other side sent no text."""
        ...

    async def ask(self, heard: Callable[[], None]) -> None:
        """Asks whether anybody is there; `heard` is called when that is answered."""
        ...
