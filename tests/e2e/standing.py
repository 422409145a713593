"""Every server of a system in this process, on one pushed clock; each can be stopped and started
again.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from services.cli.plan import SERVICES, environment
from shared import config as configuration
from shared.clock import PushedClock
from shared.lifecycle import App
from tests.fakes.databases import Databases

P = TypeVar("P")


class RunningSystem:
    """A server that starts again has the address and the rows it had before."""

    def __init__(
        self, databases: Databases, home: Path, clock: PushedClock, settings: Mapping[str, str]
    ) -> None:
        self.addresses: dict[str, str] = {}
        self.databases = databases
        self._home = home
        self._clock = clock
        self._settings = settings
        self._apps: dict[str, App] = {}

    @property
    def names(self) -> set[str]:
        """Who stands."""
        return set(self._apps)

    async def start(self, name: str) -> None:
        """As a process of its own would: from its environment alone."""
        listen = self.addresses.get(name, "127.0.0.1:0")
        urls = {name: self.databases.url(name)} if name in SERVICES else {}
        environ = environment(name, listen, self.addresses, urls, self._home) | dict(self._settings)
        module: Any = importlib.import_module(f"services.{name}.server")
        app: App = module.build(configuration.load(module.Config, environ), self._clock)
        await app.start()
        self._apps[name], self.addresses[name] = app, app.address

    async def stop(self, name: str) -> None:
        """Ask it to leave, and wait until it has."""
        await self._apps.pop(name).stop()

    def part(self, name: str, kind: type[P]) -> P:
        """A part of a server."""
        return self._apps[name].part(kind)

    async def start_all(self) -> None:
        """Those that do not stand; whoever is called comes before who calls."""
        for name in SERVICES:
            if name not in self._apps:
                await self.start(name)

    async def stop_all(self) -> None:
        """Those that stand."""
        for name in reversed(list(self._apps)):
            await self.stop(name)
