"""What a person sets of an asset; words of choices are those of the schema, without prefix."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from shared.errors import broken_rules

PRICE_SOURCES = ("liqwid", "minswap", "price")
WORDS: Mapping[str, tuple[str, ...]] = {
    "taken_rule": ("ALL", "NONE"),
    "ref_mode": ("KEYWORD", "EVENT", "DATA_RANGE", "NONE"),
    "gate.method": ("ROBUST", "POLYNOMIAL", "MEDIAN", "MOVING_AVERAGE"),
    "gate.mode": ("ANOMALY_GUARD", "OPPORTUNITY", "OFF"),
    "gate.band": ("K_SIGMA", "QUANTILE"),
    "gate.series": ("CORRECTED", "PRICE"),
}
_NAME = re.compile(r"[a-z0-9_]{1,32}")
_MAX_SPAN = timedelta(days=3650)
# More than any token there is; what is compared with it fits the columns of units.
_MAX_UNITS = Decimal(10**12)


@dataclass(frozen=True, slots=True)
class GateConfig:
    """How the last point is judged by those before it; see the schema's GateSettings."""

    method: str = "ROBUST"
    order: int = 1
    mode: str = "ANOMALY_GUARD"
    band: str = "K_SIGMA"
    k_sigma: float = 2.0
    central_confidence: float = 0.68
    alpha: float = 0.05
    lookback: timedelta = timedelta(hours=168)
    min_points: int = 20
    series: str = "CORRECTED"


@dataclass(frozen=True, slots=True)
class PriceConfig:
    """How prices of several sources are compared; see the schema's PriceSettings."""

    sources: tuple[str, ...] = PRICE_SOURCES
    relative: bool = True
    epsilon: float = 0.01
    persistence: int = 3
    age_limit: timedelta = timedelta(hours=1)
    depeg_limit_percent: float = 2.0


@dataclass(frozen=True, slots=True)
class AssetSettings:
    """A stablecoin whose supply is watched. `cap_units` and `fee_units`: tokens, None is none."""

    name: str
    alternate_name: str = ""
    enabled: bool = True
    safety_factor: float = 0.5
    cap_units: Decimal | None = None
    taken_rule: str = "ALL"
    ref_mode: str = "KEYWORD"
    reference_keyword: str = "reference"
    range_start_time: datetime | None = None
    hold_on_aggregate_loss: bool = True
    gated: bool = True
    gate: GateConfig = field(default_factory=GateConfig)
    price: PriceConfig = field(default_factory=PriceConfig)
    sample_age_limit: timedelta = timedelta(hours=3)
    flow_lag: timedelta = timedelta(hours=1)
    fee_units: Decimal | None = None
    wallets: tuple[str, ...] = ()

    @property
    def symbol(self) -> str:
        """What it is called at the venue: the alternate name, else its own."""
        return self.alternate_name or self.name

    @property
    def shown_alternate(self) -> str:
        """The alternate name where it differs."""
        return self.alternate_name if self.alternate_name.lower() != self.name else ""


@dataclass(frozen=True, slots=True)
class Asset:
    """Settings as stored; the revision counts edits. `demo`: simulated."""

    settings: AssetSettings
    revision: int
    demo: bool = False

    @property
    def etag(self) -> str:
        return str(self.revision)


@dataclass(frozen=True, slots=True)
class Wallet:
    """A holder: Cardano addresses under one name."""

    name: str
    addresses: tuple[str, ...]


def checked(settings: AssetSettings) -> AssetSettings:
    """The settings; InvalidArgument INVALID_FIELD naming every one that breaks its rule."""
    if problems := dict(problems_of(settings)):
        raise broken_rules("asset", problems)
    return settings


def problems_of(settings: AssetSettings) -> Iterator[tuple[str, str]]:
    """Field and what is wrong with it, every one."""
    gate, price = settings.gate, settings.price
    yield from _outside_ranges(settings)
    if not _NAME.fullmatch(settings.name) or settings.name == "total":
        yield "name", "1 to 32 of a-z, 0-9 and _, and not total"
    if settings.safety_factor == 0:
        yield "safety_factor", "above 0"
    for name in ("cap_units", "fee_units"):
        amount = getattr(settings, name)
        if amount is not None and not (amount.is_finite() and 0 <= amount <= _MAX_UNITS):
            yield name, "a number of tokens, 0 to 10^12"
    if unknown := [name for name in price.sources if name not in PRICE_SOURCES]:
        yield "price.sources", f"{', '.join(unknown)[:60]}: one of {', '.join(PRICE_SOURCES)}"
    if gate.k_sigma == 0:
        yield "gate.k_sigma", "above 0"


def _outside_ranges(settings: AssetSettings) -> Iterator[tuple[str, str]]:
    for path, words in WORDS.items():
        if _at(settings, path) not in words:
            yield path, f"one of {', '.join(words)}"
    for path, (least, most) in _RANGES.items():
        value = _at(settings, path)
        if not least <= value <= most:
            yield path, f"{_said(least)} to {_said(most)}"


def _at(settings: AssetSettings, path: str) -> Any:
    value: Any = settings
    for name in path.split("."):
        value = getattr(value, name)
    return value


def _said(value: object) -> str:
    return f"{value.total_seconds():g}s" if isinstance(value, timedelta) else f"{value}"


_RANGES: Mapping[str, tuple[Any, Any]] = {
    "safety_factor": (0.0, 1.0),
    "sample_age_limit": (timedelta(seconds=1), _MAX_SPAN),
    "flow_lag": (timedelta(0), _MAX_SPAN),
    "gate.order": (0, 5),
    "gate.k_sigma": (0.0, 100.0),
    "gate.central_confidence": (0.01, 0.9999),
    "gate.alpha": (0.0001, 0.5),
    "gate.lookback": (timedelta(minutes=1), _MAX_SPAN),
    "gate.min_points": (3, 100_000),
    "price.epsilon": (0.0, 1000.0),
    "price.persistence": (1, 1000),
    "price.age_limit": (timedelta(seconds=1), _MAX_SPAN),
    "price.depeg_limit_percent": (0.0, 100.0),
}
