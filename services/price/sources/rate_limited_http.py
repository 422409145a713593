"""Provider HTTP that keeps to a number of calls, and can say how it stands."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from services.price.sources.rate_limit import RateLimit
from services.price.sources.source import SourceSetup
from shared.http import Answer, FailureKind, ProviderFailure, ProviderHttp
from shared.http.client import Params


@dataclass(frozen=True, slots=True)
class Pace:
    """`call_count` calls in `window_seconds`; `retries` of a call are not counted: 0 where few are
    allowed.

    `per_second` spreads calls by waiting a little; `retry_after` as ProviderHttp has it.
    """

    call_count: int
    window_seconds: float
    retries: int = 2
    per_second: float | None = None
    retry_after: str = "seconds"


class RateLimitedHttp(ProviderHttp):
    """A ProviderHttp; over its rate limit a call fails RATE_LIMITED and nothing is sent."""

    def __init__(
        self, name: str, setup: SourceSetup, pace: Pace, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(
            name,
            setup.url,
            clock=setup.clock,
            timeout_seconds=setup.call_timeout_seconds,
            per_second=pace.per_second,
            retries=pace.retries,
            retry_after=pace.retry_after,
            headers=headers,
        )
        self.rate_limit = RateLimit(pace.call_count, pace.window_seconds, setup.clock)

    @property
    def paused(self) -> bool:
        """Whether a call would fail now without being made."""
        return self._circuit.shut or self.rate_limit.wait_seconds() > 0

    async def get_json(
        self, path: str, params: Params | None = None, *, headers: Mapping[str, str] | None = None
    ) -> Answer:
        # A call the circuit will not let through is none and costs nothing.
        if not self._circuit.shut and (wait_seconds := self.rate_limit.take()) > 0:
            raise limited("our own call limit is used up", wait_seconds)
        return await super().get_json(path, params, headers=headers)

    def silence(self, message: str, seconds: float) -> ProviderFailure:
        """Ask nothing for so long, as the provider said in its own words. The failure to raise."""
        self.rate_limit.silence(seconds)
        return limited(message, seconds)


def limited(message: str, wait_seconds: float) -> ProviderFailure:
    return ProviderFailure(
        FailureKind.RATE_LIMITED, message, retry_after=timedelta(seconds=wait_seconds)
    )


def bad_body(message: str) -> ProviderFailure:
    return ProviderFailure(FailureKind.BAD_BODY, message)
