"""What a source of prices is, and what it is built from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from services.price.domain.prices import Quote
from shared.clock import Clock


class Source(Protocol):
    """One provider of prices. It bounds its own calls in time and number."""

    @property
    def name(self) -> str: ...

    @property
    def assets(self) -> frozenset[str] | None:
        """The symbols it can quote; None = any."""
        ...

    async def quotes(self, assets: Sequence[str]) -> Mapping[str, Quote]:
        """A quote for each asset (all among `assets`), those without a price with the reason.

        Raises ProviderFailure.
        """
        ...


@dataclass(frozen=True, slots=True)
class SourceSetup:
    """Where a source is, its key ("" = none), how long a call may take.

    `wants_range`: ask for the high and low of 24 hours too, where that is another page.
    """

    url: str
    api_key: str
    call_timeout_seconds: float
    clock: Clock
    wants_range: bool = False
