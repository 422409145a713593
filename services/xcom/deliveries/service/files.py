"""The files of messages, for the channels that carry them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from services.xcom.domain.documents import FILE_FACT
from services.xcom.domain.messages import DeliveryAttempt
from services.xcom.senders.channel import Channel
from services.xcom.store.queue import Queue
from shared.errors import SonicError
from shared.log import get_logger


async def with_files(
    queue: Queue, channels: Mapping[str, Channel], claimed: Iterable[DeliveryAttempt]
) -> list[DeliveryAttempt]:
    """The attempts, each with its file where it has one and its channel carries it. Read only when
    one says so: most have none.
    """
    attempts = list(claimed)
    wanted = [
        one.message_id for one in attempts if FILE_FACT in one.facts and channels[one.channel].files
    ]
    if not wanted:
        return attempts
    try:
        files = await queue.files(wanted)
    except SonicError as error:
        # They are claimed: sent without it they are heard now.
        get_logger().error("sent without files", reason=error.reason)
        return attempts
    return [
        replace(one, attachment=files.get(one.message_id)) if channels[one.channel].files else one
        for one in attempts
    ]
