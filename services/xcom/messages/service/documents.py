"""A message that takes a file along, or goes to addresses of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from services.xcom.channels.service.configured_channels import refuse_bad_destination
from services.xcom.domain.documents import FILE_FACT, Attachment, Destination
from services.xcom.domain.messages import Draft, Message
from services.xcom.senders.channel import Channel
from shared.errors import invalid
from shared.names import choose
from shared.secret_shapes import refuse_secret


class Accepting(Protocol):
    """Who stores messages."""

    async def send(self, draft: Draft) -> Message: ...


class DocumentService:
    """Checks what comes along; the rest is as of any message."""

    def __init__(self, messages: Accepting, channels: Mapping[str, Channel]) -> None:
        self._messages = messages
        self._channels = channels

    async def send(
        self, draft: Draft, destinations: Sequence[Destination], file: Attachment | None
    ) -> Message:
        """As MessageService.send; InvalidArgument also DESTINATION_REFUSED, PRIVATE_KEY_REFUSED."""
        # Resolving a name takes time: no transaction is open meanwhile.
        checked = tuple([await self._checked(one) for one in destinations])
        if file is not None:
            refuse_secret(_text(file), "attachment.content")
            draft = replace(draft, facts={**draft.facts, FILE_FACT: file.name})
        return await self._messages.send(replace(draft, destinations=checked, attachment=file))

    async def _checked(self, wanted: Destination) -> Destination:
        name = choose(wanted.channel, self._channels, field="destinations.channel")
        if wanted.address:
            await refuse_bad_destination(
                self._channels[name], wanted.address, "destinations.address"
            )
        return Destination(name, wanted.address)


def _text(file: Attachment) -> str:
    try:
        return file.content.decode()
    except UnicodeDecodeError:
        raise invalid("attachment.content", "must be UTF-8 text") from None
