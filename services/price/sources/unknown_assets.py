"""Assets a source does not know: found among several, left out a while, then asked again."""

from collections.abc import Awaitable, Callable, Mapping, Sequence

from services.price.domain.prices import Quote
from shared.backoff import backoff_seconds
from shared.clock import Clock
from shared.http import FailureKind, ProviderFailure
from shared.log import get_logger

FIRST_SECONDS = 300.0
MOST_SECONDS = 3600.0
# In one refresh, beyond the first: what is not found by then is left to the next one.
_MOST_CALLS = 8

Ask = Callable[[Sequence[str]], Awaitable[Mapping[str, Quote]]]


class UnknownAssets:
    """Asks a source whose answer is an error when it does not know one of the assets.

    `is_unknown` tells that error from others. An asset the source does not know costs the others
    nothing: it is left out for 5 minutes, each time twice as long up to an hour, then asked for by
    itself. When not one asset is known the trouble is the source's: nothing is remembered and its
    failure is raised.
    """

    def __init__(
        self, name: str, clock: Clock, is_unknown: Callable[[ProviderFailure], bool]
    ) -> None:
        self._name = name
        self._clock = clock
        self._is_unknown = is_unknown
        # Monotonic second until which an asset is left out, and how often that was.
        self._left_out: dict[str, tuple[float, int]] = {}

    async def quotes(self, assets: Sequence[str], ask: Ask) -> Mapping[str, Quote]:
        """A quote for each asset, NOT_FOUND for unknown ones. Raises ProviderFailure."""
        now = self._clock.monotonic()
        resting = [asset for asset in assets if self._left_out.get(asset, (now, 0))[0] > now]
        again = [asset for asset in assets if asset in self._left_out and asset not in resting]
        known = [asset for asset in assets if asset not in self._left_out]
        search = _Search(ask, self._is_unknown)
        await search.ask(known)
        for asset in again:
            await search.ask([asset])
        if search.failure is not None and not search.found:
            raise search.failure
        for asset in search.unknown:
            self._leave_out(asset)
        for asset in search.found:
            self._left_out.pop(asset, None)
        failed = dict.fromkeys(search.unanswered, search.reason)
        unknown = dict.fromkeys([*resting, *search.unknown], FailureKind.NOT_FOUND.value)
        reasons = failed | unknown
        return {
            asset: search.found.get(asset) or Quote(self._name, dropped_reason=reasons[asset])
            for asset in assets
        }

    def leave_out(self, assets: Sequence[str]) -> Sequence[str]:
        """For a source that is asked asset by asset: those of them that are not asked for now."""
        now = self._clock.monotonic()
        return [asset for asset in assets if self._left_out.get(asset, (now, 0))[0] > now]

    def learn(self, unknown: Sequence[str], known: Sequence[str]) -> None:
        """For a source that is asked asset by asset: what came of it."""
        for asset in unknown if known else ():
            self._leave_out(asset)
        for asset in known:
            self._left_out.pop(asset, None)

    def _leave_out(self, asset: str) -> None:
        count = self._left_out.get(asset, (0.0, 0))[1] + 1
        seconds = backoff_seconds(count, FIRST_SECONDS, MOST_SECONDS)
        if asset not in self._left_out:
            get_logger().warning(
                "price source does not know an asset", source=self._name, asset=asset
            )
        self._left_out[asset] = (self._clock.monotonic() + seconds, count)


class _Search:
    """One refresh: what was answered, what is unknown, what was not answered for another reason."""

    def __init__(self, ask: Ask, is_unknown: Callable[[ProviderFailure], bool]) -> None:
        self._ask = ask
        self._is_unknown = is_unknown
        self._call_count = 0
        self.found: dict[str, Quote] = {}
        self.unknown: list[str] = []
        self.unanswered: list[str] = []
        self.failure: ProviderFailure | None = None
        self.reason = ""

    async def ask(self, assets: Sequence[str]) -> None:
        """All at once; when one of them is unknown, by halves."""
        waiting = [list(assets)] if assets else []
        while waiting:
            part = waiting.pop(0)
            if self._call_count > _MOST_CALLS or self._is_over():
                self.unanswered += part
                continue
            self._call_count += 1
            try:
                self.found |= await self._ask(part)
            except ProviderFailure as failure:
                self._fail(failure)
                if not self._is_unknown(failure):
                    self.unanswered += part
                elif len(part) == 1:
                    self.unknown += part
                else:
                    middle = len(part) // 2
                    waiting += [part[:middle], part[middle:]]

    def _is_over(self) -> bool:
        return self.failure is not None and not self._is_unknown(self.failure)

    def _fail(self, failure: ProviderFailure) -> None:
        """The first failure is raised when nothing was answered; another kind ends the search."""
        if self.failure is None or not self._is_unknown(failure):
            self.failure = failure
        self.reason = failure.kind.value
