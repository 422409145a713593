"""The first tool's configuration as settings of ours: sections, or `client` and `orchestrator`.

What has no place here is listed, every problem is said at once, nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from services.withdrawals.assets.domain.settings import (
    PRICE_SOURCES,
    AssetSettings,
    GateConfig,
    PriceConfig,
    Wallet,
    problems_of,
)
from services.withdrawals.assets.domain.tokens import Token

_METHODS = {"median": "MEDIAN", "polynomial_fit": "POLYNOMIAL", "moving_average": "MOVING_AVERAGE"}
_BANDS = {"stddev": "K_SIGMA", "percentile": "QUANTILE"}
_SERIES = {"corrected_position": "CORRECTED", "change_rate_usd": "PRICE"}
_FALLBACKS = {"data_range": "DATA_RANGE", "null": "KEYWORD", None: "KEYWORD"}
# The one place of each setting: by sections, and in the older form.
_PLACES: Mapping[str, tuple[str, ...]] = {
    "assets": ("domain.assets", "client.assets", "client.domain.assets", "orchestrator.assets"),
    "wallets": ("wallets", "orchestrator.wallets", "client.wallets"),
    "range_start": ("data.date_range.start", "client.date_range.start"),
    "sources": ("prices.sources",),
    "keyword": ("analysis.decision.reference.keyword", "orchestrator.reference_keyword"),
    "fallback": (
        "analysis.decision.reference.fallback",
        "orchestrator.reference_keyword_fallback",
    ),
    "safety_factor": ("analysis.decision.safety_factor.c", "orchestrator.safety_factor.c"),
    "interval_minutes": (
        "runtime.schedule.interval_minutes",
        "orchestrator.schedule.interval_minutes",
    ),
    "whitelist": ("analysis.decision.gate.whitelist", "orchestrator.decision_gate.whitelist"),
    **{
        f"gate.{name}": (f"analysis.decision.gate.{name}", f"orchestrator.decision_gate.{name}")
        for name in (
            *("enabled", "basis", "method", "polynomial_order", "threshold_mode"),
            *("central_confidence", "k_sigma", "min_points", "lookback_hours"),
        )
    },
    **{
        f"compare.{name}": (f"analysis.price_compare.{name}", f"orchestrator.price_compare.{name}")
        for name in (
            *("epsilon_mode", "tolerance_epsilon", "persistence_threshold"),
            "per_asset_overrides",
        )
    },
}
_KNOWN_PLACES = frozenset(place for places in _PLACES.values() for place in places)


@dataclass(slots=True)
class TakenConfig:
    """What a file holds; `interval_minutes` None: it does not say."""

    assets: list[AssetSettings] = field(default_factory=list)
    wallets: list[Wallet] = field(default_factory=list)
    tokens: list[Token] = field(default_factory=list)
    interval_minutes: float | None = None
    left_out: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def check(self) -> None:
        """Add what breaks a rule to the problems."""
        names = [one.name for one in self.assets]
        for settings in self.assets:
            self.problems += [f"{settings.name}: {path}: {said}" for path, said in _wrong(settings)]
        self.problems += [f"asset {name} stands twice" for name in _doubled(names)]
        self.problems += [
            f"wallet {name} stands twice" for name in _doubled([one.name for one in self.wallets])
        ]
        if self.interval_minutes is not None and not 0 <= self.interval_minutes <= 525_600:
            self.problems.append("interval_minutes: 0 to 525600")


def _wrong(settings: AssetSettings) -> Iterator[tuple[str, str]]:
    try:
        yield from problems_of(settings)
    except TypeError:
        yield "settings", "a number or a word is of the wrong kind"


def _doubled(names: list[str]) -> list[str]:
    return sorted({name for name in names if names.count(name) > 1})


def first_tool(document: Mapping[str, Any]) -> TakenConfig:
    """The first tool's file."""
    taken = TakenConfig()
    flat = dict(_flattened(document, ""))
    values = {name: _found(flat, places) for name, places in _PLACES.items()}
    assets = values["assets"] or []
    if not isinstance(assets, list) or not assets:
        taken.problems.append("domain.assets: a list of names")
        assets = []
    base = _settings(values, taken)
    whitelist = values["whitelist"]
    for name in assets:
        settings = replace(base, name=str(name).strip().lower())
        if isinstance(whitelist, list):
            settings = replace(settings, gated=base.gated and name in whitelist)
        taken.assets.append(_overridden(settings, values["compare.per_asset_overrides"], taken))
    _wallets(values["wallets"] or [], taken)
    interval = values["interval_minutes"]
    if interval is not None:
        taken.interval_minutes = _number(interval, "interval_minutes", taken)
    taken.left_out += [
        f"{place}: has no place here"
        for place in flat
        if place not in _KNOWN_PLACES and not place.startswith(tuple(_inside_lists()))
    ]
    taken.left_out.append(
        "taken_rule: ALL, what was withdrawn since the reference is used up; the first tool's rule"
        " is NONE"
    )
    taken.check()
    return taken


def _inside_lists() -> Iterator[str]:
    yield from (f"{place}." for place in _PLACES["compare.per_asset_overrides"])


def _flattened(value: object, path: str) -> Iterator[tuple[str, Any]]:
    is_leaf = not isinstance(value, Mapping) or path in _KNOWN_PLACES
    if is_leaf:
        if path:
            yield path, value
        return
    for name, inner in value.items() if isinstance(value, Mapping) else ():
        yield from _flattened(inner, f"{path}.{name}" if path else str(name))


def _found(flat: Mapping[str, Any], places: tuple[str, ...]) -> Any:
    return next((flat[place] for place in places if flat.get(place) is not None), None)


def _settings(values: Mapping[str, Any], taken: TakenConfig) -> AssetSettings:
    made = AssetSettings("asset", gate=_gate(values, taken), price=_price(values, taken))
    given: dict[str, Any] = {
        "ref_mode": _word(values["fallback"], _FALLBACKS, "reference.fallback", taken)
    }
    if values["gate.enabled"] is not None:
        given["gated"] = bool(values["gate.enabled"])
    if values["keyword"] is not None:
        given["reference_keyword"] = str(values["keyword"])
    if values["safety_factor"] is not None:
        given["safety_factor"] = _number(values["safety_factor"], "safety_factor.c", taken)
    if values["range_start"] is not None:
        given["range_start_time"] = _moment(values["range_start"], taken)
    return replace(made, **given)


def _gate(values: Mapping[str, Any], taken: TakenConfig) -> GateConfig:
    given: dict[str, Any] = {}
    words = {
        "method": ("gate.method", _METHODS),
        "band": ("gate.threshold_mode", _BANDS),
        "series": ("gate.basis", _SERIES),
    }
    for name, (place, known) in words.items():
        if values[place] is not None:
            given[name] = _word(values[place], known, place, taken)
    numbers = {
        "order": "gate.polynomial_order",
        "k_sigma": "gate.k_sigma",
        "central_confidence": "gate.central_confidence",
        "min_points": "gate.min_points",
    }
    for name, place in numbers.items():
        if values[place] is not None:
            found = _number(values[place], place, taken)
            given[name] = int(found) if name in {"order", "min_points"} else found
    if values["gate.lookback_hours"] is not None:
        hours = _number(values["gate.lookback_hours"], "gate.lookback_hours", taken)
        given["lookback"] = timedelta(hours=min(max(hours, 0), 1_000_000))
    return replace(GateConfig(), **given)


def _price(values: Mapping[str, Any], taken: TakenConfig) -> PriceConfig:
    given: dict[str, Any] = {}
    if isinstance(values["sources"], list):
        given["sources"] = tuple(map(str, values["sources"]))
        unknown = [name for name in given["sources"] if name not in PRICE_SOURCES]
        taken.left_out += [f"prices.sources: {name} is no source here" for name in unknown]
        given["sources"] = tuple(name for name in given["sources"] if name in PRICE_SOURCES)
    if values["compare.epsilon_mode"] is not None:
        given["relative"] = values["compare.epsilon_mode"] != "absolute"
    if values["compare.tolerance_epsilon"] is not None:
        given["epsilon"] = _number(values["compare.tolerance_epsilon"], "tolerance_epsilon", taken)
    if values["compare.persistence_threshold"] is not None:
        count = _number(values["compare.persistence_threshold"], "persistence_threshold", taken)
        given["persistence"] = int(count)
    return replace(PriceConfig(), **given)


def _overridden(settings: AssetSettings, overrides: Any, taken: TakenConfig) -> AssetSettings:
    """An override of 0 counts."""
    mine = overrides.get(settings.name) if isinstance(overrides, Mapping) else None
    if mine is None:
        return settings
    epsilon = mine.get("tolerance_epsilon") if isinstance(mine, Mapping) else mine
    number = _number(epsilon, f"per_asset_overrides.{settings.name}", taken)
    return replace(settings, price=replace(settings.price, epsilon=number))


def _wallets(listed: Any, taken: TakenConfig) -> None:
    if not isinstance(listed, list):
        taken.problems.append("wallets: a list")
        return
    for number, one in enumerate(listed, 1):
        address = one.get("address") if isinstance(one, Mapping) else one
        name = one.get("name", f"wallet-{number}") if isinstance(one, Mapping) else ""
        if isinstance(one, Mapping) and "address_env" in one:
            taken.left_out.append(
                f"wallets.{number}: its address stands in the environment variable"
                f" {one['address_env']}; add it with its name"
            )
        elif not isinstance(address, str) or not address.strip():
            taken.problems.append(f"wallets.{number}: an address")
        else:
            taken.wallets.append(Wallet(str(name or f"wallet-{number}"), (address.strip(),)))


def _word(value: Any, known: Mapping[Any, str], place: str, taken: TakenConfig) -> str:
    if value in known:
        return known[value]
    listed = ", ".join(str(name) for name in known if name)
    taken.problems.append(f"{place}: one of {listed}")
    return next(iter(known.values()))


def _number(value: Any, place: str, taken: TakenConfig) -> float:
    try:
        if isinstance(value, bool):
            raise TypeError
        found = float(value)
        if found - found == 0:  # neither NaN nor infinite
            return found
    except (TypeError, ValueError):
        pass
    taken.problems.append(f"{place}: a number")
    return 0.0


def _moment(value: Any, taken: TakenConfig) -> datetime | None:
    """A day or a moment; without a zone it is UTC."""
    try:
        found = datetime.fromisoformat(str(value))
    except ValueError:
        taken.problems.append("date_range.start: a date")
        return None
    return found.replace(tzinfo=UTC) if found.utcoffset() is None else found.astimezone(UTC)


OWN_NAMES = frozenset({"assets", "wallets", "tokens", "interval_minutes"})


def unknown_names(document: Mapping[str, Any]) -> Iterator[str]:
    """Names in a file of ours that are none."""
    yield from (f"{name}: is not known" for name in document if name not in OWN_NAMES)
    known: Mapping[str, set[str]] = {
        "assets": {one.name for one in fields(AssetSettings)},
        "wallets": {one.name for one in fields(Wallet)},
        "tokens": {one.name for one in fields(Token)},
    }
    for noun, names in known.items():
        rows = document.get(noun) or []
        for place, row in enumerate(rows if isinstance(rows, list) else [], 1):
            strange = sorted(set(map(str, row)) - names) if isinstance(row, Mapping) else []
            yield from (f"{noun}.{place}.{name}: is not known" for name in strange)
