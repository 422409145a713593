"""What a message may take along: a file, and addresses of its own. Pure."""

from __future__ import annotations

from dataclasses import dataclass

# Among the facts of a message that has a file: its name.
FILE_FACT = "attachment"


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file of UTF-8 text."""

    name: str
    media_type: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Destination:
    """An address on a channel; empty is the channel's own."""

    channel: str
    address: str
