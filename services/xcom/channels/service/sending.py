"""One try on one channel, bounded in time, and never an exception."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from services.xcom.domain.messages import Answer, DeliveryAttempt
from services.xcom.senders.channel import Channel, is_own
from shared.log import get_logger
from shared.names import new_id


def _resolved(channel: Channel, attempt: DeliveryAttempt) -> DeliveryAttempt | None:
    """With the destination its reference stands for; None when that is set no longer."""
    if not is_own(attempt.address):
        return attempt
    destination = channel.own.get(attempt.address)
    return None if destination is None else replace(attempt, address=destination, is_own=True)


async def follow(channel: Channel, attempt: DeliveryAttempt) -> Answer | str:
    """See Channel.follow; bounded in time, and whatever fails is no news."""
    attempt = _resolved(channel, attempt) or attempt
    try:
        async with asyncio.timeout(channel.timeout_seconds):
            return await channel.follow(attempt)
    except TimeoutError:
        return ""
    except Exception as error:  # noqa: BLE001  a fault of one channel must not end the asking of the others
        get_logger().error("channel fault", channel=channel.name, kind=type(error).__name__)
        return ""


async def send(
    channel: Channel, attempt: DeliveryAttempt, missing_settings: Sequence[str] = ()
) -> Answer:
    """Whatever happens is an answer; the error holds no secret."""
    if missing_settings:
        problem = f"not configured: needs {', '.join(missing_settings)}"
        # Waiting does not set it: others must be notified.
        return Answer(accepted=False, error=problem, permanent=True)
    if channel.own and not attempt.address:
        return await _to_each(channel, attempt)
    resolved = _resolved(channel, attempt)
    if resolved is None:
        problem = "this destination is set no longer"
        return Answer(accepted=False, error=problem, permanent=True)
    answer = await _one_try(channel, resolved)
    if answer.accepted or not resolved.is_own:
        return answer
    return replace(answer, error=f"{channel.shown(attempt.address)}: {answer.error}")


async def _to_each(channel: Channel, attempt: DeliveryAttempt) -> Answer:
    """A test, or an attempt from before there were several: accepted when all of them accept it."""
    answers = await asyncio.gather(
        *(send(channel, replace(attempt, address=reference)) for reference in channel.own)
    )
    failed = [one for one in answers if not one.accepted]
    if not failed:
        return replace(answers[0], receipt_id="")
    return replace(failed[0], error="; ".join(one.error for one in failed))


async def _one_try(channel: Channel, attempt: DeliveryAttempt) -> Answer:
    try:
        async with asyncio.timeout(channel.timeout_seconds):
            return await channel.send(attempt)
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
