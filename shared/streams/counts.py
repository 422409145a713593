"""What is counted of streams; no series holds what a message said."""

from shared.metrics import Metrics


class StreamCounts:
    """Of this process."""

    def __init__(self, metrics: Metrics) -> None:
        self._connected = metrics.gauge(
            "sonic_stream_connected", "1 while a stream is open, else 0", ("stream",)
        )
        self._messages = metrics.counter(
            "sonic_stream_messages_total", "Messages that came by a stream", ("stream",)
        )
        self._events = metrics.counter(
            "sonic_stream_events_total",
            "Messages of a stream that ask for a look, by what they tell",
            ("stream", "kind"),
        )
        self._refused = metrics.counter(
            "sonic_stream_refused_total",
            "Messages of a stream that could not be read",
            ("stream", "reason"),
        )
        self._breaks = metrics.counter(
            "sonic_stream_breaks_total",
            "Times a stream could not be opened, or ended by itself",
            ("stream", "reason"),
        )

    def connected(self, stream: str, *, is_open: bool) -> None:
        self._connected.labels(stream).set(is_open)

    def message(self, stream: str) -> None:
        self._messages.labels(stream).inc()

    def event(self, stream: str, kind: str) -> None:
        self._events.labels(stream, kind).inc()

    def refused(self, stream: str, reason: str) -> None:
        self._refused.labels(stream, reason).inc()

    def broke(self, stream: str, reason: str) -> None:
        self._breaks.labels(stream, reason).inc()
