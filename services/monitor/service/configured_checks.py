"""The checks that are known, with the settings that count for each."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from services.monitor.checks.registry import Registered
from services.monitor.domain.settings import Chosen, Override, Setting, effective
from services.monitor.domain.states import State, StoredMonitor, state
from shared.errors import NotFound


class ConfiguredChecks:
    """`overrides` holds what the environment decides, by monitor and field."""

    def __init__(
        self, checks: Mapping[str, Registered], overrides: Mapping[str, Mapping[str, Override]]
    ) -> None:
        self._checks = checks
        self._overrides = overrides
        self.names = sorted(checks)
        self.every_cycle = [name for name in self.names if checks[name].every_cycle]

    def __getitem__(self, name: str) -> Registered:
        return self._checks[name]

    def named(self, name: str) -> Registered:
        """Any case; NotFound MONITOR_NOT_FOUND."""
        found = self._checks.get(name.strip().lower())
        if found is None:
            raise NotFound(
                "MONITOR_NOT_FOUND", f"no monitor {name!r}; known are {', '.join(self.names)}"
            )
        return found

    def setting(self, name: str, chosen: Chosen) -> Setting:
        """What counts now for a monitor."""
        return effective(self._checks[name].defaults, chosen, self._overrides.get(name, {}))

    def states(self, stored: Mapping[str, StoredMonitor], now: datetime) -> list[State]:
        """All monitors as they stand."""
        return [self.state(name, stored[name], now) for name in self.names]

    def state(self, name: str, stored: StoredMonitor, now: datetime) -> State:
        """A monitor as it stands."""
        one = self._checks[name]
        setting = self.setting(name, stored.chosen)
        return state(name, one.description, one.every_cycle, one.origin, setting, stored, now)
