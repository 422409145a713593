"""Makes the report of a cycle: what cyclone knows of it, and what the other services say."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import AbstractAsyncContextManager, suppress
from typing import Protocol

from services.cyclone.domain.cycle import Cycle, CycleState
from services.cyclone.report.domain import cycle_sections
from services.cyclone.report.domain.document import Report, Section, Window, aged, not_read, to_keep
from services.cyclone.report.store import Neighbours, ReportStore
from shared import tracing
from shared.clock import Clock
from shared.errors import NotFound, SonicError

LATEST = "latest"
# Of each call; they are made together, and whoever asks over HTTP waits for 15 s. Walking the whole
# ledger takes longer than the others.
_SECONDS, _CHAIN_SECONDS, _MORE_SECONDS = 5.0, 8.0, 2.0
_ORDER = (
    *("changes", "cycle", "steps", "totals", "positions", "hedges", "alerts", "deliveries"),
    *("monitors", "refused", "ledger", "chain", "log"),
)
# What changed is worked out of these.
_COMPARED = frozenset({"ledger", "totals"})

Begin = Callable[[], AbstractAsyncContextManager[ReportStore]]


class Sections(Protocol):
    """The other services; every reader raises SonicError without an answer in time."""

    @property
    def titles(self) -> Mapping[str, str]: ...

    @property
    def kept(self) -> frozenset[str]: ...

    @property
    def readers(self) -> Mapping[str, Callable[[Window, float], Awaitable[Section]]]: ...


class LightLine(Protocol):
    """Somebody's plain line for the top."""

    async def read(self) -> str:
        """Empty when there is none; raises nothing."""
        ...


class ReportService:
    """Reads what is asked for when it is asked for; of a cycle in which something happened, what no
    service keeps by cycle is kept here.
    """

    def __init__(
        self, begin: Begin, sections: Sections, light: LightLine | None, clock: Clock
    ) -> None:
        self._begin = begin
        self._sections = sections
        self._light = light
        self._clock = clock

    async def report(self, cycle_id: str) -> Report:
        """The report of a cycle that has started; "latest" is the newest that has ended. Raises
        CYCLE_NOT_FOUND.
        """
        found, kept = await self._found(cycle_id)
        return await self._made(found, kept)

    async def kept_report(self, cycle_id: str) -> Report:
        """The same of a cycle that has just ended, kept from then on."""
        found, kept = await self._found(cycle_id)
        if not kept:
            kept = await self._keep(found)
        return await self._made(found, kept)

    async def keep_if_eventful(self, cycle: Cycle, before: CycleState | None) -> None:
        """Keeps how things stood after a cycle in which something happened; a quiet one costs
        nothing.
        """
        if cycle_sections.eventful(before, cycle):
            # Somebody may have cleared the cycle meanwhile.
            with suppress(NotFound):
                found, _ = await self._found(cycle.id)
                await self._keep(found)

    async def _found(self, cycle_id: str) -> tuple[Neighbours, tuple[Section, ...]]:
        async with self._begin() as store:
            found = await store.neighbours(
                "" if cycle_id == LATEST else cycle_id, self._clock.now()
            )
            kept = await store.kept(found.cycle.id) if found else ()
        if found is None:
            what = "no cycle has ended yet" if cycle_id == LATEST else f"no cycle {cycle_id[:80]!r}"
            raise NotFound("CYCLE_NOT_FOUND", what)
        return found, kept

    async def _keep(self, found: Neighbours) -> tuple[Section, ...]:
        read = await self._read(found, self._sections.kept)
        kept = tuple(to_keep(read[name]) for name in _ORDER if name in read)
        async with self._begin() as store:
            await store.keep(found.cycle.id, kept, self._clock.now())
        return kept

    async def _made(self, found: Neighbours, kept: tuple[Section, ...]) -> Report:
        cycle, now = found.cycle, self._clock.now()
        missing = self._sections.readers.keys() - {section.name for section in kept}
        light = asyncio.create_task(self._light.read()) if self._light else None
        parts = {section.name: section for section in kept} | await self._read(found, missing)
        async with self._begin() as store:
            events, more = await store.log_lines(cycle.id)
        parts |= {
            "cycle": cycle_sections.cycle_section(cycle, now),
            "steps": cycle_sections.steps_section(cycle, now),
            "log": cycle_sections.log_section(events, more=more, now=now),
        }
        parts["changes"] = cycle_sections.changes_section(
            found.before, cycle, parts["ledger"], parts["totals"], now
        )
        headline = cycle_sections.headline(cycle, parts["alerts"], parts["positions"])
        ordered = tuple(aged(parts[name], cycle.ended_time) for name in _ORDER)
        line = await light if light else ""
        trace_id = tracing.trace_id(cycle.id)
        return Report(cycle.id, cycle.state, cycle.demo, now, headline, ordered, line, trace_id)

    async def _read(self, found: Neighbours, names: Collection[str]) -> dict[str, Section]:
        window = found.window
        ends = await asyncio.gather(*(self._section(name, window) for name in names))
        return dict(zip(names, ends, strict=True))

    async def _section(self, name: str, window: Window) -> Section:
        seconds = _CHAIN_SECONDS if name == "chain" else _SECONDS
        try:
            async with asyncio.timeout(seconds + _MORE_SECONDS):
                return await self._sections.readers[name](window, seconds)
        except SonicError as error:
            problem = f"{error.reason}: {error.message}"
        except TimeoutError:
            problem = f"no answer within {seconds + _MORE_SECONDS:g} s"
        return not_read(name, self._sections.titles[name], problem, self._clock.now())
