"""Positions by hand: create, read, change, delete, evaluate."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np

from services.positions.domain.position import MANUAL, VENUES, Draft, Position, Risk, check_draft
from services.positions.domain.venue_answer import NUMBERS, Chain, Flag, Side, Status, WalletType
from services.positions.enrichment.domain.enriched_frame import EnrichedFrame
from services.positions.enrichment.domain.metrics import (
    DEFAULT_WEIGHTS,
    AssetMoves,
    HeatModel,
    HeatWeights,
    Metrics,
    Terms,
    bits_of,
    metrics,
)
from services.positions.enrichment.service import EnrichmentService
from services.positions.positions.domain import (
    MEASURED,
    FigureOrder,
    Filter,
    Ordered,
    check_plausible,
)
from services.positions.service.ports import Begin
from services.positions.service.sorting import ordered
from services.positions.store import Store
from services.positions.store.positions import BY_INPUT, BY_RESULT, NEVER, StoredPosition, stored
from services.positions.sync.domain.sync_rows import RefusedRow
from services.positions.wallets.domain.addresses import refuse_secret, said
from services.positions.wallets.domain.wallet import Wallet
from shared import paging
from shared.clock import Clock
from shared.errors import AlreadyExists, NotFound, broken_rules, invalid, require_confirmation
from shared.names import choose, new_id
from shared.paging import Key, Page, PageRequest
from shared.touch import NO_HISTORY, History

# So many pages of an order by a figure are looked at before all positions are.
_WINDOW_PAGES = 4
_LIVE = (Status.ACTIVE, Status.STALE)

CHANGEABLE = (
    "size_usd",
    "collateral_usd",
    "entry_price_usd",
    "liquidation_price_usd",
    "mark_price_usd",
    "side",
    "status",
    "note",
)


@dataclass(frozen=True, slots=True)
class WhatIf:
    """Terms of a position for EvaluateAtPrice; None = absent. `moves`: of a stored one's asset."""

    side: Side
    entry_price_usd: float | None
    liquidation_price_usd: float | None
    size_usd: float | None
    collateral_usd: float | None
    hourly_volatility_ratio: float | None
    moves: History = NO_HISTORY


class PositionsService:
    """Use cases of single positions. Every change ends with a pass: totals are right at once."""

    def __init__(
        self, begin: Begin, read: Begin, enrichment: EnrichmentService, clock: Clock
    ) -> None:
        self._begin = begin
        self._read = read
        self._enrichment = enrichment
        self._clock = clock

    async def create(self, draft: Draft, request_id: str = "") -> Position:
        """Raises INVALID_FIELD, IMPLAUSIBLE, PRIVATE_KEY_REFUSED, AlreadyExists POSITION_EXISTS."""
        check_draft(draft)
        refuse_secret(draft.id, "position.id")
        refuse_secret(draft.note, "position.note")
        venue = choose(draft.venue or MANUAL, VENUES, field="position.venue")
        draft = replace(
            draft, id=draft.id or new_id("pos"), wallet=draft.wallet or MANUAL, venue=venue
        )
        market, now = await self._enrichment.market(), self._clock.now()
        frame = None
        async with self._begin() as store:
            names = await store.positions.spelled([draft.asset], market)
            draft = replace(draft, asset=names[draft.asset])
            check_plausible(draft, market.get(draft.asset))
            first = (
                await store.positions.keep_request(request_id, draft.id, now)
                if request_id
                else None
            )
            if first is None:
                await self._insert(store, draft)
                await store.enrichment.bump_membership()
                _, frame = await self._enrichment.run(store, market)
        if frame is not None:
            self._enrichment.install(frame)
        return await self.get(first or draft.id)

    async def _insert(self, store: Store, draft: Draft) -> None:
        now = self._clock.now()
        feeds = await store.wallets.feed_keys([(draft.wallet, draft.venue)])
        if not feeds:
            # A wallet of positions entered by hand is only a name: it comes with the first of them.
            refuse_secret(draft.wallet, "position.wallet")
            await store.wallets.create(manual_wallet(draft.wallet, now))
            feeds = await store.wallets.feed_keys([(draft.wallet, draft.venue)])
        assets = await store.positions.asset_keys([draft.asset])
        row = {
            "id": draft.id,
            "feed_key": feeds[draft.wallet, draft.venue],
            "asset_key": assets[draft.asset],
            "side": int(draft.side),
            "in_last_answer": False,
            "flag_bits": bits_of(frozenset({Flag.DEMO}) if draft.venue == "demo" else frozenset()),
            **{name: stored(getattr(draft, name, None)) for name in NUMBERS},
            "mark_time": NEVER if draft.mark_price_usd is None else now,
            "note": draft.note,
        }
        if not await store.positions.create(row, now):
            raise AlreadyExists("POSITION_EXISTS", f"a position with id {draft.id[:60]!r} exists")

    async def get(self, position_id: str) -> Position:
        """Raises NotFound POSITION_NOT_FOUND."""
        async with self._read() as store:
            found = await store.positions.find(position_id)
        return (await self.with_risk([_there(found, position_id)]))[0]

    async def list(
        self, wanted: Filter, order_by: str, page_size: int, page_token: str
    ) -> Page[Position]:
        """Raises UNKNOWN_NAME, WALLET_NOT_FOUND, BAD_PAGE_TOKEN, PAGE_TOKEN_MISMATCH."""
        if wanted.venue:
            choose(wanted.venue, VENUES, field="venue")
        order = _order(order_by)
        context = paging.context(wanted, order)
        request = paging.parse(page_size, page_token, context=context)
        figures = await self._figures(order)
        async with self._read() as store:
            rows: list[tuple[StoredPosition, Key]] = []
            if figures is not None:
                after = None if request.after is None else request.after[0]
                near = figures.next(after, _WINDOW_PAGES * request.size)
                rows = await store.positions.page(wanted, order, request, near)
            if len(rows) <= request.size:
                # What comes next is not of this kind, or has no figure.
                rows = await store.positions.page(wanted, order, request, figures)
            if not rows:
                await refuse_unknown(store, wanted)
        page = paging.cut(rows, request, context, lambda row: row[1])
        return Page(await self.with_risk([row for row, _ in page.rows]), page.next_page_token)

    async def _figures(self, order: Ordered) -> FigureOrder | None:
        """The places by a figure of the last pass; None when another field orders."""
        if order.field not in BY_RESULT:
            return None
        return FigureOrder.of((await self._enrichment.frame()).columns, order)

    async def update(self, position_id: str, values: Mapping[str, object]) -> Position:
        """`values` by CHANGEABLE. Raises POSITION_NOT_FOUND, INVALID_FIELD, IMPLAUSIBLE."""
        _check_values(values)
        refuse_secret(str(values.get("note", "")), "position.note")
        market, now = await self._enrichment.market(), self._clock.now()
        async with self._enrichment.changing(market) as store:
            found = _there(await store.positions.find(position_id), position_id)
            if values.keys() & MEASURED:
                numbers = {name: value for name, value in values.items() if name in MEASURED}
                changed = replace(found.inputs, **numbers)  # type: ignore[arg-type]  # checked above
                check_plausible(changed, market.get(found.inputs.asset))
            columns: dict[str, object] = {
                name: stored(value) if name in NUMBERS else value  # type: ignore[arg-type]  # checked above
                for name, value in values.items()
            }
            # The venue's next answer is written again even if the venue changed nothing.
            columns |= {"in_last_answer": False, "mark_time": found.inputs.mark_time or NEVER}
            if "mark_price_usd" in values:
                columns["mark_time"] = NEVER if values["mark_price_usd"] is None else now
            await store.positions.change(found.inputs.position_key, columns, now)
            if "status" in values:
                await store.positions.forget_absence(found.inputs.position_key)
            if values.keys() & {"side", "status"}:
                await store.enrichment.bump_membership()
        return await self.get(position_id)

    async def delete(self, position_id: str) -> None:
        """Raises NotFound POSITION_NOT_FOUND."""
        async with self._enrichment.changing() as store:
            if not await store.positions.delete(position_id):
                _there(None, position_id)
            await store.enrichment.bump_membership()

    async def delete_all(self, confirm: str) -> int:
        """Raises InvalidArgument NOT_CONFIRMED unless `confirm` is the word."""
        require_confirmation(confirm, "delete")
        async with self._enrichment.changing() as store:
            count = await store.positions.delete_all()
            await store.enrichment.bump_membership()
        return count

    async def what_if(self, position_id: str) -> WhatIf:
        """The terms of a stored position, with the liquidation price that drives its risk."""
        position = await self.get(position_id)
        inputs, risk = position.inputs, position.risk
        market = (await self._enrichment.market()).get(inputs.asset)
        return WhatIf(
            inputs.side,
            inputs.entry_price_usd,
            (risk and risk.risk_liquidation_price_usd) or inputs.liquidation_price_usd,
            inputs.size_usd,
            inputs.collateral_usd,
            None if market is None else market.hourly_volatility_ratio,
            NO_HISTORY if market is None else market.moves,
        )

    async def refused_rows(self, page_size: int, page_token: str) -> Page[RefusedRow]:
        """Newest first. Raises InvalidArgument BAD_PAGE_TOKEN."""
        context = paging.context("refused_rows")
        request = paging.parse(page_size, page_token, context=context)
        async with self._read() as store:
            rows = await store.sync_rows.refused_page(request)
        return paging.cut(rows, request, context, lambda row: (row.id,))

    async def with_risk(self, found: Sequence[StoredPosition]) -> Sequence[Position]:
        """Positions, read at one moment, with the figures of the last pass."""
        live = next((one for one in found if one.inputs.status in _LIVE), None)
        if live is None:
            return [Position(one.inputs, None) for one in found]
        return judged_by(found, await self._enrichment.frame(live.pass_number))


def judged_by(found: Sequence[StoredPosition], frame: EnrichedFrame) -> Sequence[Position]:
    """Positions with the figures of this pass."""
    risks = frame.risks([one.inputs.position_key for one in found])
    judged = zip(found, risks, strict=True)
    return [Position(one.inputs, _risk_of(one, risk)) for one, risk in judged]


def _risk_of(found: StoredPosition, risk: Risk | None) -> Risk | None:
    """What is known of it by the figures of a pass."""
    if risk is None or found.inputs.status not in _LIVE:
        return None
    return replace(risk, flags=risk.flags | {Flag.MARK_STALE}) if found.feed_failed else risk


def evaluate(
    terms: WhatIf, prices_usd: Sequence[float], weights: HeatWeights = DEFAULT_WEIGHTS
) -> tuple[Metrics, Metrics]:
    """The metrics at each price by model LIQUIDATION and by CLASSIC. Raises INVALID_FIELD."""
    prices = np.array(prices_usd, np.float64)
    if not (np.isfinite(prices) & (prices > 0)).all():
        raise invalid("prices_usd", "above 0", "prices are above 0 and finite")

    def column(value: float | None) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        return np.full(len(prices), stored(value))

    sign = {Side.LONG: 1.0, Side.SHORT: -1.0}.get(terms.side, 0.0)
    rows = Terms(
        column(sign),
        column(terms.entry_price_usd),
        prices,
        column(terms.liquidation_price_usd),
        column(terms.size_usd),
        column(terms.collateral_usd),
        column(terms.hourly_volatility_ratio),
    )
    known = {0: terms.moves} if terms.moves.is_enough else {}
    moves = AssetMoves(np.zeros(len(prices), np.int64), known)
    return metrics(rows, weights=weights, moves=moves), metrics(rows, HeatModel.CLASSIC, weights)


def manual_wallet(name: str, now: datetime) -> Wallet:
    """The wallet of positions entered by hand."""
    return Wallet(name, Chain.MANUAL, "", "", None, None, (), True, WalletType.PERSONAL, now)


async def pieces(
    read: Begin, wanted: Filter, row_count: int
) -> AsyncIterator[Sequence[StoredPosition]]:
    """Positions by id, so many at a time; one empty piece for none. Raises WALLET_NOT_FOUND."""
    after, is_first = None, True
    while True:
        async with read() as store:
            found = await store.positions.page(wanted, Ordered(), PageRequest(row_count, after))
            if not found and is_first:
                await refuse_unknown(store, wanted)
        if found or is_first:
            yield [one for one, _ in found[:row_count]]
        is_first = False
        if len(found) <= row_count:
            return
        after = found[row_count - 1][1]


async def refuse_unknown(store: Store, wanted: Filter) -> None:
    """WALLET_NOT_FOUND: an empty list would say that this wallet holds nothing."""
    if wanted.wallet and not await store.wallets.existing([wanted.wallet]):
        raise NotFound("WALLET_NOT_FOUND", f"no wallet is named {said(wanted.wallet)}")


def _there(found: StoredPosition | None, position_id: str) -> StoredPosition:
    if found is None:
        raise NotFound("POSITION_NOT_FOUND", f"no position has id {position_id[:60]!r}")
    return found


def _order(order_by: str) -> Ordered:
    return Ordered(*ordered(order_by or "id", [*BY_INPUT, *BY_RESULT]))


def _check_values(values: Mapping[str, object]) -> None:
    problems: dict[str, str] = {}
    for name, value in values.items():
        if isinstance(value, float) and (value < 0 or (value == 0 and name != "collateral_usd")):
            problems[name] = "0 or more" if name == "collateral_usd" else "more than 0"
        if value is None and name in ("size_usd", "collateral_usd", "entry_price_usd"):
            problems[name] = "cannot be taken away"
    if values.get("status") is Status.STALE:
        problems["status"] = "STALE is found by a sync, not set by hand"
    if len(str(values.get("note", ""))) > 2000:
        problems["note"] = "at most 2000 characters"
    if problems:
        raise broken_rules("position", problems)
