"""The channel of last resort: a line in this service's own log."""

from __future__ import annotations

from services.xcom.domain.messages import Answer, DeliveryAttempt, Level
from services.xcom.senders.channel import Channel
from shared.log import get_logger


class Log(Channel):
    """Always configured; reaches only those who read logs."""

    name = "log"
    timeout_seconds = 5.0
    rate_limited = False

    @property
    def missing_settings(self) -> tuple[str, ...]:
        return ()

    @property
    def destination(self) -> str:
        return "log of xcom"

    async def send(self, attempt: DeliveryAttempt) -> Answer:
        logger = get_logger()
        # `level` is the log line's own word.
        quieter = {Level.LOW: logger.info, Level.MEDIUM: logger.warning}
        quieter.get(attempt.level, logger.error)(
            "message",
            message_level=attempt.level.name,
            subject=attempt.subject,
            source=attempt.source,
            message_id=attempt.message_id,
        )
        return Answer(accepted=True, provider_status="logged")
