"""Several streams on one connection: a browser has six for all of its windows."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from datetime import timedelta

from google.protobuf.message import Message

from services.gateway.failures import failure_json
from shared.errors import SonicError, Unavailable
from shared.json_writer import written

PATH = "/v1:watch"
MAX_WATCHED = 8
_RETRY = timedelta(seconds=3)

# Place of the stream among those asked for, and what it said last.
Told = tuple[int, Message | SonicError]


class Watched:
    """A stream by the domain of its failures."""

    def __init__(self, domain: str, messages: AsyncGenerator[Message, None]) -> None:
        self.domain = domain
        self.messages = messages


async def together(watched: Sequence[Watched]) -> AsyncGenerator[str, None]:
    """Events of all of them as they come, named by their place: `0`, `1` ..., and `0.error` when
    one has failed or ended, which ends none of the others. Closing it ends every call.
    """
    # One message in hand at a time: a slow reader slows the services, not our memory.
    said: asyncio.Queue[Told] = asyncio.Queue(1)
    tasks = [asyncio.create_task(_pass_on(at, one, said)) for at, one in enumerate(watched)]
    try:
        while True:
            place, told = await said.get()
            yield _event(place, watched[place].domain, told)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _pass_on(place: int, watched: Watched, said: asyncio.Queue[Told]) -> None:
    try:
        async with aclosing(watched.messages) as messages:
            async for message in messages:
                await said.put((place, message))
    except SonicError as error:
        await said.put((place, error))
    else:
        await said.put((place, Unavailable("STREAM_ENDED", "it has ended", retry_after=_RETRY)))


def _event(place: int, domain: str, told: Message | SonicError) -> str:
    if isinstance(told, SonicError):
        return f"event: {place}.error\ndata: {json.dumps(failure_json(told, domain))}\n\n"
    return f"event: {place}\ndata: {written(told).decode()}\n\n"
