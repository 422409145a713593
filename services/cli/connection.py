"""Stubs of the running system for one command."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TypeVar

from services.cli.plan import Plan, known_addresses
from shared.rpc.client import Channel
from shared.service_tokens import Identity

S = TypeVar("S")
# Files are imported in one message.
MAX_MESSAGE_BYTES = 72 * 1024 * 1024


class System:
    """Channels to the servers of a system, opened when they are first asked for."""

    def __init__(
        self, addresses: Mapping[str, str], stack: AsyncExitStack, identity: Identity | None = None
    ) -> None:
        self.addresses = addresses
        self.identity = identity
        self._stack = stack
        self._channels: dict[str, Channel] = {}

    async def stub(self, service: str, kind: type[S]) -> S:
        """A stub on the channel to a service."""
        if service not in self._channels:
            channel = Channel(
                self.addresses[service],
                max_message_bytes=MAX_MESSAGE_BYTES,
                identity=self.identity,
                peer=service,
            )
            await channel.start()
            self._stack.push_async_callback(channel.stop)
            self._channels[service] = channel
        return self._channels[service].stub(kind)


@asynccontextmanager
async def connected(
    addresses: Mapping[str, str] | None = None, identity: Identity | None = None
) -> AsyncIterator[System]:
    """The system at these addresses, called with this identity; without addresses the one that
    is known to run here, with the person's.
    """
    async with AsyncExitStack() as stack:
        if addresses is None:
            plan = Plan()
            addresses, identity = known_addresses(plan), plan.identity
        yield System(addresses, stack, identity)
