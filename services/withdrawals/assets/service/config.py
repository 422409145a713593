"""Configuration as a file: looked at, taken all or nothing, and what is stored as one."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import yaml
from pydantic import TypeAdapter, ValidationError

from services.withdrawals.assets.domain.config_file import (
    OWN_NAMES,
    TakenConfig,
    first_tool,
    unknown_names,
)
from services.withdrawals.assets.domain.settings import Asset, AssetSettings, Wallet
from services.withdrawals.assets.domain.tokens import Token
from services.withdrawals.assets.service.assets import Begin
from shared.errors import InvalidArgument

_PARTS: Mapping[str, TypeAdapter[Any]] = {
    "assets": TypeAdapter(list[AssetSettings]),
    "wallets": TypeAdapter(list[Wallet]),
    "tokens": TypeAdapter(list[Token]),
}
_SHOWN_PROBLEMS = 50
SetInterval = Callable[[float], Awaitable[None]]


class ConfigService:
    """Takes the first tool's file and files of our own. `set_interval`: seconds between two
    evaluations.
    """

    def __init__(self, begin: Begin, read: Begin, set_interval: SetInterval) -> None:
        self._begin = begin
        self._read = read
        self._set_interval = set_interval

    async def validate(self, content: str) -> tuple[str, list[str]]:
        """The normalised configuration as JSON, or every problem; no content: what is stored."""
        taken = _parsed(content) if content.strip() else await self._stored()
        if taken.problems:
            return "", taken.problems
        return _normalised(taken), []

    async def take(self, content: str, *, dry_run: bool) -> TakenConfig:
        """InvalidArgument BAD_IMPORT names the problems. Assets and wallets of other names stay."""
        taken = _parsed(content)
        if taken.problems:
            shown = "; ".join(taken.problems[:_SHOWN_PROBLEMS])
            raise InvalidArgument("BAD_IMPORT", shown, fields={"content": shown})
        if dry_run:
            return taken
        async with self._begin() as store:
            await store.lock()
            for wallet in taken.wallets:
                await store.set_wallet(wallet)
            for settings in taken.assets:
                present = await store.get(settings.name)
                await store.write(Asset(settings, 1 if present is None else present.revision + 1))
            await store.set_tokens(taken.tokens)
        if taken.interval_minutes is not None:
            await self._set_interval(taken.interval_minutes * 60)
        return taken

    async def _stored(self) -> TakenConfig:
        async with self._read() as store:
            return TakenConfig(
                [asset.settings for asset in await store.all()],
                await store.wallets(),
                await store.tokens(),
            )


def _parsed(content: str) -> TakenConfig:
    try:
        document = yaml.safe_load(content)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f" near line {mark.line + 1}" if mark else ""
        return TakenConfig(problems=[f"the file is neither YAML nor JSON{place}"])
    except RecursionError:
        return TakenConfig(problems=["the file is nested too deep"])
    if not isinstance(document, dict):
        return TakenConfig(problems=["the file is no mapping of names"])
    if OWN_NAMES & document.keys() and not isinstance(document.get("domain"), dict):
        is_first_tools = any(name in document for name in ("orchestrator", "client", "analysis"))
        return first_tool(document) if is_first_tools else _own(document)
    return first_tool(document)


def _own(document: Mapping[str, Any]) -> TakenConfig:
    taken = TakenConfig(problems=list(unknown_names(document)))
    for noun, adapter in _PARTS.items():
        try:
            found = adapter.validate_json(json.dumps(document.get(noun) or [], default=str))
            getattr(taken, noun).extend(found)
        except ValidationError as error:
            taken.problems += [
                f"{noun}.{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()
            ]
    interval = document.get("interval_minutes")
    if isinstance(interval, int | float) and not isinstance(interval, bool):
        taken.interval_minutes = float(interval)
    elif interval is not None:
        taken.problems.append("interval_minutes: a number")
    taken.check()
    return taken


def _normalised(taken: TakenConfig) -> str:
    document = {
        noun: adapter.dump_python(getattr(taken, noun), mode="json")
        for noun, adapter in _PARTS.items()
    }
    if taken.interval_minutes is not None:
        document["interval_minutes"] = taken.interval_minutes
    return json.dumps(document, indent=1)
