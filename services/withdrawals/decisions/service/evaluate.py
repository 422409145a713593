"""An evaluation: a step of a cycle, a turn of the schedule, or asked for by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from services.withdrawals.assets.domain.settings import Asset
from services.withdrawals.assets.service.assets import AssetsService
from services.withdrawals.decisions.domain.history import AssetState
from services.withdrawals.decisions.domain.record import (
    DecisionRecord,
    failed_record,
    is_news,
    over_record,
)
from services.withdrawals.decisions.service.gathering import Gathered, Gathering
from services.withdrawals.decisions.service.judging import Before, Judgement, judgement_of
from services.withdrawals.decisions.store import Begin
from services.withdrawals.supply.domain.demo import demo_flows, demo_samples
from services.withdrawals.supply.service.history import HistoryService
from services.withdrawals.supply.service.loading import SupplyRows
from services.withdrawals.supply.service.sync import SyncService
from shared.clock import Clock
from shared.database.fence import Step
from shared.errors import NotFound
from shared.log import get_logger
from shared.names import new_id

STEP = "ADVISE_WITHDRAWALS"
# Decisions kept, and the names of all assets that are watched.
Changed = Callable[[Sequence[DecisionRecord], Collection[str]], None]


@dataclass(frozen=True, slots=True)
class Evaluated:
    """Decisions by name of the asset; whether nothing is configured."""

    decisions: list[DecisionRecord]
    not_configured: bool = False


class EvaluateService:
    """One evaluation at a time in this process. `demo_seed` makes the simulation."""

    def __init__(
        self,
        begin: Begin,
        read: Begin,
        assets: AssetsService,
        supply: SupplyRows,
        history: HistoryService,
        sync: SyncService,
        gathering: Gathering,
        clock: Clock,
        demo_seed: str,
    ) -> None:
        self._begin = begin
        self._read = read
        self._assets = assets
        self._supply = supply
        self._history = history
        self._sync = sync
        self._gathering = gathering
        self._clock = clock
        self._demo_seed = demo_seed
        self._alone = asyncio.Lock()
        self._changed: list[Changed] = []
        # Whether anybody here was told of decisions: after a start they are those that stand.
        self._is_told = False

    def on_change(self, changed: Changed) -> None:
        """Call this after every evaluation whose decisions are kept."""
        self._changed.append(changed)

    async def evaluate(
        self,
        step: Step,
        names: Sequence[str] = (),
        as_of: datetime | None = None,
        *,
        dry_run: bool = False,
    ) -> Evaluated:
        """Judge assets, all enabled ones without names; the same cycle again answers from its
        record. With `as_of` or `dry_run` no sample, decision or news is kept. ASSET_NOT_FOUND.

        A cycle asks every minute: where nothing new is known it is answered by what stands.
        """
        is_of_cycle = bool(step.cycle_id) and not names and as_of is None and not dry_run
        if is_of_cycle and (standing := await self._standing(step)):
            return Evaluated(standing)
        watched = await self._assets.watched()
        assets = _chosen(watched, names)
        if not names and as_of is None and not dry_run:
            await self._end_others(watched)
        if not assets:
            self._tell([], watched)
            return _answer([], assets)
        async with self._alone:
            async with self._begin() as store:
                keys = await store.enter(step)
                if keys is not None:
                    return _answer(await store.some(keys), assets)
                states = await store.states()
                told = await store.newest() if as_of is None else {}
            kept = as_of is None and not dry_run
            gathered = await self._gather(assets, kept=kept, live=as_of is None)
            now = self._clock.now()
            judged = [
                await self._judge(
                    asset,
                    gathered[asset.settings.name],
                    _before(asset.settings.name, states, told),
                    as_of or now,
                    step.cycle_id,
                )
                for asset in assets
            ]
            if not kept:
                return _answer([one.record for one in judged], assets)
            records = await self._write(step, judged, states, now)
        self._tell(records, watched)
        return _answer(records, assets)

    async def _standing(self, step: Step) -> list[DecisionRecord]:
        """The decisions of the simulation while none of them is due; else none."""
        simulated = self._assets.simulated
        if not simulated:
            return []
        names = [asset.settings.name for asset in simulated]
        async with self._read() as store:
            found = await store.standing(step, names, self._clock.now())
        if len(found) < len(names):
            return []
        if not self._is_told:
            self._tell(found, simulated)
        return found

    async def _end_others(self, watched: Sequence[Asset]) -> None:
        """What was told of assets that are watched no more, or switched off, stands no longer."""
        on = {one.settings.name for one in watched if one.settings.enabled and not one.demo}
        async with self._read() as store:
            if not _told_of_others(await store.newest(), on):
                return
        async with self._begin() as store:
            await store.lock()
            for before in _told_of_others(await store.newest(), on):
                now = self._clock.now()
                record = await store.add(over_record(before, "not watched any more", now))
                await store.tell(record, before.value, now)

    def _tell(self, records: Sequence[DecisionRecord], watched: Sequence[Asset]) -> None:
        self._is_told = True
        for changed in self._changed:
            changed(records, {asset.settings.name for asset in watched})

    async def _gather(
        self, assets: Sequence[Asset], *, kept: bool, live: bool
    ) -> Mapping[str, Gathered]:
        """Prices and samples first, flows after them: a flow that a sample holds is known then."""
        real = [asset for asset in assets if not asset.demo]
        demo = [asset for asset in assets if asset.demo]
        gathered: dict[str, Gathered] = {asset.settings.name: Gathered() for asset in assets}
        if not live:
            return gathered
        gathered |= await self._gathering.take(real)
        for asset in real:
            mine = gathered[asset.settings.name]
            mine.samples += await self._supply.emptied(asset, mine.absent)
        if kept:
            await self._supply.add([one for mine in gathered.values() for one in mine.samples])
            for name, problem in (await self._history.take(real)).items():
                get_logger().warning("the history cannot be read", asset=name, problem=problem)
        wallets = {name for mine in gathered.values() for name in mine.wallets}
        if wallets:
            for name, problem in (await self._sync.catch_up(sorted(wallets))).items():
                get_logger().warning("flows of a wallet cannot be read", problem=problem)
                del name  # A wallet's name may be an address.
        for asset in demo:
            gathered[asset.settings.name] = await self._simulate(asset, self._clock.now())
        return gathered

    async def _simulate(self, asset: Asset, now: datetime) -> Gathered:
        """Draws the simulation on to this moment; what is drawn is kept, whoever asks."""
        async with self._begin() as store:
            start = await store.demo_start(now.replace(microsecond=0))
        last = await self._supply.last_sample_time(asset)
        flows = [] if last is not None else demo_flows(self._demo_seed, start)
        await self._supply.add(demo_samples(self._demo_seed, start, last, now), flows)
        return self._gathering.simulated(start, now)

    async def _judge(
        self, asset: Asset, gathered: Gathered, before: Before, as_of: datetime, cycle_id: str
    ) -> Judgement:
        """A fault of ours in one asset stops no other, and is a decision too: ERROR."""
        loaded = await self._supply.load(asset, as_of)
        try:
            return await asyncio.to_thread(
                judgement_of, asset, loaded, gathered, before, as_of, cycle_id
            )
        except Exception as error:  # noqa: BLE001  # one asset's fault is told, not spread
            get_logger().error(
                "an asset cannot be judged",
                asset=asset.settings.name,
                incident_id=new_id("inc"),
                exc_info=error,
            )
            record = failed_record(asset.settings, as_of, demo=asset.demo, cycle_id=cycle_id)
            return Judgement(record, before.mismatch_count)

    async def _write(
        self,
        step: Step,
        judged: Sequence[Judgement],
        states: Mapping[str, AssetState],
        now: datetime,
    ) -> list[DecisionRecord]:
        async with self._begin() as store:
            await store.lock()
            done = await store.enter(step)
            if done is not None:
                return await store.some(done)
            before = await store.newest()
            records = []
            for one in judged:
                previous = before.get(one.record.asset)
                record = one.record.after(previous)
                if previous is not None and record.continues(previous):
                    record = await store.renew(previous, record)
                else:
                    record = await store.add(record)
                version = states.get(record.asset, AssetState()).input_version
                await store.set_state(record.asset, one.mismatch_count, version, one.due_time)
                if not record.demo and is_news(previous, record):
                    value = None if previous is None else previous.value
                    await store.tell(record, value, now)
                records.append(record)
            await store.record_step(step, [record.key for record in records], now)
        return records


def _before(
    name: str, states: Mapping[str, AssetState], told: Mapping[str, DecisionRecord]
) -> Before:
    lost = told[name].peg_lost_time if name in told else None
    return Before(states.get(name, AssetState()).mismatch_count, lost)


def _told_of_others(
    newest: Mapping[str, DecisionRecord], on: Collection[str]
) -> list[DecisionRecord]:
    told = [one for one in newest.values() if one.asset not in on and not one.demo]
    return [one for one in told if one.value == 1 or one.is_off_peg]


def _chosen(watched: Sequence[Asset], names: Sequence[str]) -> list[Asset]:
    """Those named, whether enabled or not; without names all that are enabled."""
    if not names:
        return [asset for asset in watched if asset.settings.enabled]
    known = {asset.settings.name: asset for asset in watched}
    if unknown := [name for name in names if name not in known]:
        listed = ", ".join(known) or "none"
        raise NotFound("ASSET_NOT_FOUND", f"no asset {unknown[0][:32]!r}; known are {listed}"[:500])
    return [known[name] for name in dict.fromkeys(names)]


def _answer(records: Sequence[DecisionRecord], assets: Sequence[Asset]) -> Evaluated:
    return Evaluated(sorted(records, key=lambda one: one.asset), not assets and not records)
