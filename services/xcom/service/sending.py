"""One try on one channel, bounded in time, and never an exception."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from services.xcom.channels.channel import Channel
from services.xcom.domain.messages import Answer, Letter
from shared.log import get_logger
from shared.names import new_id


async def follow(channel: Channel, letter: Letter) -> Answer | str:
    """See Channel.follow; bounded in time, and whatever fails is no news."""
    try:
        async with asyncio.timeout(channel.timeout_seconds):
            return await channel.follow(letter)
    except TimeoutError:
        return ""
    except Exception as error:  # noqa: BLE001  a fault of one channel must not end the asking of the others
        get_logger().error("channel fault", channel=channel.name, kind=type(error).__name__)
        return ""


async def attempt(channel: Channel, letter: Letter, missing_settings: Sequence[str] = ()) -> Answer:
    """Whatever happens is an answer; the error holds no secret."""
    if missing_settings:
        problem = f"not configured: needs {', '.join(missing_settings)}"
        # Waiting does not set it: others must be told.
        return Answer(accepted=False, error=problem, permanent=True)
    try:
        async with asyncio.timeout(channel.timeout_seconds):
            return await channel.send(letter)
    except TimeoutError:
        return Answer(accepted=False, error=f"no answer within {channel.timeout_seconds:g} s")
    except Exception as error:  # noqa: BLE001  a fault of one channel is a failed try, not the end of the queue
        incident_id = new_id("inc")
        # Only the kind and the place: the words of an unknown error may hold a secret.
        get_logger().error(
            "channel fault", channel=channel.name, incident_id=incident_id, kind=type(error).__name__
        )
        return Answer(accepted=False, error=f"{type(error).__name__}; incident {incident_id}")
