"""Long connections on which others say that something happened: kept, bounded, opened again."""

from shared.streams.connection import Broken, Connection, Unreadable
from shared.streams.hub import News, StreamHub
from shared.streams.moves import Moves, Reference
from shared.streams.stream import Source, State, StreamState

__all__ = [
    "Broken",
    "Connection",
    "Moves",
    "News",
    "Reference",
    "Source",
    "State",
    "StreamHub",
    "StreamState",
    "Unreadable",
]
