"""Background work: the outbox handed over, holds ended in time. Decides nothing."""

from __future__ import annotations

from services.alerts.ledger.service.retention import Retention
from services.alerts.notifications.service.relay import Relay
from services.alerts.recorder.service.recorder import Recorder
from services.alerts.service.ports import AcknowledgementSource
from services.alerts.service.snapshot_cache import SnapshotCache
from services.alerts.silences.service import Silences
from shared.backoff import backoff_seconds
from shared.clock import Clock
from shared.errors import FailedPrecondition, Unavailable
from shared.lifecycle import Loop
from shared.log import get_logger

_PAUSE_SECONDS = 2.0
_LONGEST_PAUSE_SECONDS = 30.0
# A call between two services each time: it was a fifth of what an idle system costs.
_HEARING_SECONDS = 5.0

_SWEEP_SECONDS = 3600.0
# The first one when a start is over: it has the database know the ledger's key.
_FIRST_SWEEP_SECONDS = 60.0

# How often recordings past their age are looked for.
_FORGET_SECONDS = 600.0


class RelayLoop(Loop):
    """Woken by every commit of this process that notifies; looks every 2 s for others."""

    def __init__(self, relay: Relay, cache: SnapshotCache, clock: Clock) -> None:
        super().__init__("alerts relay", self._once_more, clock, first_delay_seconds=0.1)
        self._relay = relay
        self._unreached = 0
        cache.outbox_filled = self.wake

    async def _once_more(self) -> float:
        try:
            sent = await self._relay.relay()
        except Unavailable as error:
            self._unreached += 1
            pause = backoff_seconds(self._unreached, _PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS)
            get_logger().warning("outbox waits", reason=error.reason, retry_seconds=pause)
            return pause
        self._unreached = 0
        return 0.0 if sent else _PAUSE_SECONDS


class AcknowledgementLoop(Loop):
    """Reads what people said to the notification service: every 5 s, from where it stopped last."""

    def __init__(self, silences: Silences, source: AcknowledgementSource, clock: Clock) -> None:
        super().__init__("alerts hearing", self._once_more, clock, first_delay_seconds=0.5)
        self._silences = silences
        self._source = source
        self._unreached = 0

    async def _once_more(self) -> float:
        try:
            more = await self._silences.read_acknowledgements(self._source)
        except Unavailable as error:
            self._unreached += 1
            if self._unreached == 1:
                get_logger().warning("acknowledgements wait", reason=error.reason)
            return backoff_seconds(self._unreached, _PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS)
        self._unreached = 0
        return 0.0 if more else _HEARING_SECONDS


class HoldLoop(Loop):
    """Ends silences and acknowledgements between evaluations; sleeps until the first one is due."""

    def __init__(self, silences: Silences, clock: Clock) -> None:
        super().__init__("alerts holds", silences.expire, clock, first_delay_seconds=1.0)
        silences.held = self.wake


class RetentionLoop(Loop):
    """Hour by hour what is past its age leaves the ledger for sealed files."""

    def __init__(self, retention: Retention, clock: Clock) -> None:
        super().__init__(
            "alerts retention", self._once_more, clock, first_delay_seconds=_FIRST_SWEEP_SECONDS
        )
        self._retention = retention

    async def _once_more(self) -> float:
        try:
            await self._retention.sweep()
        except (FailedPrecondition, Unavailable) as error:
            # Said by the monitor of storage too, when rows are past their age for it.
            get_logger().warning("ledger rows stay", reason=error.reason, words=error.message)
        return _SWEEP_SECONDS


class RecorderLoop(Loop):
    """Writes what evaluations read once they are committed, and what waits before it stops."""

    def __init__(self, recorder: Recorder, clock: Clock) -> None:
        super().__init__("alerts recorder", self._once_more, clock)
        self._recorder = recorder
        self._next_seconds = 0.0
        self._time = clock
        recorder.filled = self.wake

    async def _once_more(self) -> float:
        now = self._time.monotonic()
        if now >= self._next_seconds:
            # First, and once: a database without room takes nothing new, and a failure of either
            # must not keep the other from its turn.
            self._next_seconds = now + _FORGET_SECONDS
            await self._recorder.forget()
        await self._recorder.write()
        return self._next_seconds - now if self._recorder.is_on else _SWEEP_SECONDS

    async def stop(self) -> None:
        await super().stop()
        try:
            await self._recorder.write()
        except Unavailable as error:
            get_logger().warning("the last cycles were not recorded", reason=error.reason)
