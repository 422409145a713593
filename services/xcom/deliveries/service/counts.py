"""What is counted of messages and their deliveries."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from datetime import datetime

from services.xcom.calls.domain import CALLING
from services.xcom.domain.messages import UNSURE, DeliveryAttempt, DeliveryState, Level
from shared.metrics import Metrics

_TOLD_SECONDS = (1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0)
# How a try can end; QUEUED: it is tried again.
_OUTCOMES = (
    DeliveryState.SENT,
    DeliveryState.HANDED_OVER,
    DeliveryState.QUEUED,
    DeliveryState.DEAD,
)
# So many messages are known to have been told: what follows by other channels tells them no more.
_KNOWN_COUNT = 4096


class DeliveryCounts:
    """Of this process."""

    def __init__(self, metrics: Metrics, channels: Iterable[str]) -> None:
        self._deliveries = metrics.counter(
            "sonic_deliveries_total",
            "Tries by channel and how they ended; QUEUED: tried again later",
            ("channel", "outcome"),
        )
        self._answered = metrics.counter(
            "sonic_calls_answered_total", "Telephone calls that a person listened to"
        )
        self._accepted = metrics.counter(
            "sonic_messages_accepted_total",
            "Messages accepted that somebody is to hear",
            ("level",),
        )
        self._told = metrics.histogram(
            "sonic_message_told_seconds",
            "Time from a message's acceptance until its first delivery to a channel that reaches"
            " people",
            ("level",),
            _TOLD_SECONDS,
        )
        for channel in channels:
            for outcome in _OUTCOMES:
                self._deliveries.labels(channel, outcome.name)
        for level in Level:
            self._accepted.labels(level.name)
            self._told.labels(level.name)
        self._known: OrderedDict[str, None] = OrderedDict()

    def accepted(self, level: Level) -> None:
        """A message was stored with deliveries."""
        self._accepted.labels(level.name).inc()

    def tried(self, attempt: DeliveryAttempt, state: DeliveryState, now: datetime) -> None:
        """A try has ended, and is written down."""
        self._deliveries.labels(attempt.channel, state.name).inc()
        if attempt.channel in CALLING and state is DeliveryState.SENT:
            self._answered.inc()
        is_first = attempt.message_id not in self._known
        if state is not DeliveryState.SENT or attempt.channel in UNSURE or not is_first:
            return
        self._known[attempt.message_id] = None
        if len(self._known) > _KNOWN_COUNT:
            self._known.popitem(last=False)
        seconds = max((now - attempt.created_time).total_seconds(), 0.0)
        self._told.labels(attempt.level.name).observe(seconds)
