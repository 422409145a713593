"""What a source of prices is, and what it is built from. Knows no source."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from services.price.domain.prices import Quote
from shared.clock import Clock
from shared.http import ProviderHttp


class Source(Protocol):
    """One provider of prices. It bounds its own calls in time and number."""

    @property
    def name(self) -> str: ...

    async def quotes(self, assets: Sequence[str]) -> Mapping[str, Quote]:
        """A quote for each asset, those without a price with the reason. Raises ProviderFailure."""
        ...


@dataclass(frozen=True, slots=True)
class SourceSetup:
    """Where a source is, its key ("" = none), how long a call may take."""

    url: str
    api_key: str
    call_timeout_seconds: float
    clock: Clock


@dataclass(frozen=True, slots=True)
class Connected:
    """A source, and the HTTP part that starts and stops with it."""

    source: Source
    http: ProviderHttp
