"""One try on one channel, bounded in time, and never an exception."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from services.xcom.domain.messages import Answer, Letter
from services.xcom.senders.channel import Channel, is_own
from shared.log import get_logger
from shared.names import new_id


def _led(channel: Channel, letter: Letter) -> Letter | None:
    """The letter with the destination its reference stands for; None when that is set no longer."""
    if not is_own(letter.address):
        return letter
    destination = channel.own.get(letter.address)
    return None if destination is None else replace(letter, address=destination, is_own=True)


async def follow(channel: Channel, letter: Letter) -> Answer | str:
    """See Channel.follow; bounded in time, and whatever fails is no news."""
    letter = _led(channel, letter) or letter
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
    if channel.own and not letter.address:
        return await _to_each(channel, letter)
    led = _led(channel, letter)
    if led is None:
        problem = "this destination is set no longer"
        return Answer(accepted=False, error=problem, permanent=True)
    answer = await _one_try(channel, led)
    if answer.accepted or not led.is_own:
        return answer
    return replace(answer, error=f"{channel.shown(letter.address)}: {answer.error}")


async def _to_each(channel: Channel, letter: Letter) -> Answer:
    """A test, or a letter from before there were several: accepted when all of them accept it."""
    answers = await asyncio.gather(
        *(attempt(channel, replace(letter, address=reference)) for reference in channel.own)
    )
    failed = [one for one in answers if not one.accepted]
    if not failed:
        return replace(answers[0], receipt_id="")
    return replace(failed[0], error="; ".join(one.error for one in failed))


async def _one_try(channel: Channel, letter: Letter) -> Answer:
    try:
        async with asyncio.timeout(channel.timeout_seconds):
            return await channel.send(letter)
    except TimeoutError:
        return Answer(accepted=False, error=f"no answer within {channel.timeout_seconds:g} s")
    except Exception as error:  # noqa: BLE001  a fault of one channel is a failed try, not the end of the queue
        incident_id = new_id("inc")
        # Only the kind and the place: the words of an unknown error may hold a secret.
        get_logger().error(
            "channel fault",
            channel=channel.name,
            incident_id=incident_id,
            kind=type(error).__name__,
        )
        return Answer(accepted=False, error=f"{type(error).__name__}; incident {incident_id}")
