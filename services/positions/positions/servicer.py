"""PositionsService over gRPC; decides nothing."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from sonic.positions.v1 import positions_pb2 as pb
from sonic.positions.v1 import positions_pb2_grpc as rpc

from services.positions.accounts.service.accounts import AccountsService
from services.positions.domain.position import Draft
from services.positions.domain.venue_answer import Flag, Side, Status
from services.positions.enrichment.domain.enrichment import places_of
from services.positions.enrichment.domain.metrics import METRIC_NAMES, Metrics
from services.positions.enrichment.service import EnrichmentService
from services.positions.events.service import EventsService
from services.positions.extremes.service import ExtremesService
from services.positions.files.domain.imports import Format
from services.positions.files.service.imports import ImportService
from services.positions.positions.domain import Filter
from services.positions.positions.service.positions import CHANGEABLE, PositionsService, evaluate
from services.positions.positions.service.watch import News, Watch
from services.positions.servicer.mapping import (
    Context,
    account_reading_message,
    extremes_fields,
    flag_numbers,
    frozen_mark_message,
    imported_message,
    member,
    position_message,
    position_parts,
    totals_message,
    what_if_terms,
)
from services.positions.sync.service.sync import SyncService
from services.positions.wallets.service.wallets import WalletsService
from shared import columns
from shared.codec import apply_mask, check_mask, fill, masked, number, put, read
from shared.database.fence import Step
from shared.page_answer import page_answer
from shared.rpc.once import Once
from shared.touch import TouchModel


@dataclass(frozen=True, slots=True)
class ReadingCases:
    """What is read of positions beside their rows."""

    enrichment: EnrichmentService
    extremes: ExtremesService
    watch: Watch
    wallets: WalletsService
    events: EventsService
    accounts: AccountsService


class PositionsServicer(rpc.PositionsServiceServicer):
    """Messages of positions."""

    def __init__(
        self,
        service: PositionsService,
        reading: ReadingCases,
        sync: SyncService,
        imports: ImportService,
    ) -> None:
        self._service = service
        self._enrichment = reading.enrichment
        self._extremes = reading.extremes
        self._sync = sync
        self._imports = imports
        self._watch = reading.watch
        self._wallets = reading.wallets
        self._events = reading.events
        self._accounts = reading.accounts
        self._message = Once(_news_message)

    async def SyncPositions(
        self, request: pb.SyncPositionsRequest, context: Context
    ) -> pb.SyncPositionsResponse:
        synced = await self._sync.sync(
            Step("SYNC_POSITIONS", request.cycle_id, request.epoch),
            tuple(request.wallets),
            force=request.force,
        )
        wallets = [fill(pb.WalletSync, outcome) for outcome in synced.wallets]
        return fill(pb.SyncPositionsResponse, synced, wallets=wallets)

    async def EnrichPositions(
        self, request: pb.EnrichPositionsRequest, context: Context
    ) -> pb.EnrichPositionsResponse:
        done = await self._enrichment.enrich(
            Step("ENRICH_POSITIONS", request.cycle_id, request.epoch)
        )
        return fill(pb.EnrichPositionsResponse, done, totals=totals_message(done.totals))

    async def CreatePosition(
        self, request: pb.CreatePositionRequest, context: Context
    ) -> pb.Position:
        return position_message(
            await self._service.create(_draft(request.position), request.request_id)
        )

    async def GetPosition(self, request: pb.GetPositionRequest, context: Context) -> pb.Position:
        return position_message(await self._service.get(request.id))

    async def ListPositions(
        self, request: pb.ListPositionsRequest, context: Context
    ) -> pb.ListPositionsResponse:
        check_mask(pb.Position, request.read_mask)
        page = await self._service.list(
            _filter(request), request.order_by, request.page_size, request.page_token
        )
        return page_answer(
            pb.ListPositionsResponse(
                next_page_token=page.next_page_token,
                unwatched=await self._wallets.unwatched(request.wallet),
            ),
            "positions",
            pb.Position,
            map(position_parts, page.rows),
            request.read_mask,
        )

    async def UpdatePosition(
        self, request: pb.UpdatePositionRequest, context: Context
    ) -> pb.Position:
        # The id says which position; it is no change.
        position = pb.Position()
        position.CopyFrom(request.position)
        position.ClearField("id")
        paths = apply_mask(position, request.update_mask, CHANGEABLE)
        values = {path: _changed(position, path) for path in paths}
        return position_message(await self._service.update(request.position.id, values))

    async def DeletePosition(
        self, request: pb.DeletePositionRequest, context: Context
    ) -> pb.DeletePositionResponse:
        await self._service.delete(request.id)
        return pb.DeletePositionResponse()

    async def DeleteAllPositions(
        self, request: pb.DeleteAllPositionsRequest, context: Context
    ) -> pb.DeleteAllPositionsResponse:
        return pb.DeleteAllPositionsResponse(
            deleted_count=await self._service.delete_all(request.confirm)
        )

    async def ImportPositions(
        self, request: pb.ImportPositionsRequest, context: Context
    ) -> pb.ImportPositionsResponse:
        kind: Format = "CSV" if request.format == pb.FILE_FORMAT_CSV else "JSON"
        done = await self._imports.take(
            request.content, kind, request.wallet, dry_run=request.dry_run
        )
        return imported_message(done)

    async def EvaluateAtPrice(
        self, request: pb.EvaluateAtPriceRequest, context: Context
    ) -> pb.EvaluateAtPriceResponse:
        if request.WhichOneof("subject") == "position_id":
            terms = await self._service.what_if(request.position_id)
        else:
            terms = what_if_terms(request.position)
        heat = await self._enrichment.heat()
        figures, classic = evaluate(terms, request.prices_usd, heat.weights)
        return pb.EvaluateAtPriceResponse(
            evaluations=[
                _evaluation(price, row, figures, classic, terms.moves.model)
                for row, price in enumerate(request.prices_usd)
            ]
        )

    async def ReadColumns(
        self, request: pb.ReadColumnsRequest, context: Context
    ) -> AsyncIterator[pb.PositionColumns]:
        frame = await self._enrichment.frame()
        since = request.extremes_since_micros
        extremes = self._extremes.of(frame, since) if since else None
        asked = frame.asked(request.columns, request.position_keys)
        keys, ids = asked["position_key"], list[str]()
        if "position_id" in request.columns:
            ids = await self._enrichment.position_ids(keys.tolist())
        rows = request.chunk_row_count or columns.ROWS_PER_MESSAGE
        first: dict[str, Any] = {
            "asset_names": frame.asset_names,
            "wallet_names": frame.wallet_names,
            "venue_names": frame.venue_names,
            "wallet_portfolios": frame.portfolios,
            "asset_models": [model or 0 for model in frame.asset_models],
            "totals": totals_message(self._enrichment.aged(frame)),
            "totals_stale_by_rows_alone": self._enrichment.is_stale_by_rows_alone(frame),
            "event_sequence": frame.event_sequence,
        }
        if request.accounts:
            first["accounts"] = [*map(account_reading_message, self._accounts.readings(frame))]
        rows_of = (
            places_of(keys, frame.columns["position_key"]) if request.position_keys else slice(None)
        )
        if frame.frozen_marks:
            first["frozen_marks"] = [*map(frozen_mark_message, frame.frozen_marks)]
        if frame.frozen is not None:
            asked["estimate_price_usd"] = frame.frozen.price_usd[rows_of]
            asked["mark_frozen_since_micros"] = frame.frozen.since_micros[rows_of]
        if extremes is not None:
            asked["extreme_price_usd"] = extremes.price_usd[rows_of]
            asked["extreme_time_micros"] = extremes.time_micros[rows_of]
            first |= extremes_fields(extremes)
        # No positions still says its epoch.
        for start in range(0, max(len(keys), 1), rows):
            yield columns.reply(
                pb.PositionColumns,
                {name: column[start : start + rows] for name, column in asked.items()},
                membership_epoch=frame.membership_epoch,
                total_count=len(keys),
                position_id=ids[start : start + rows],
                **(first if start == 0 else {}),
            )

    async def ListRefusedRows(
        self, request: pb.ListRefusedRowsRequest, context: Context
    ) -> pb.ListRefusedRowsResponse:
        check_mask(pb.RefusedRow, request.read_mask)
        page = await self._service.refused_rows(request.page_size, request.page_token)
        return pb.ListRefusedRowsResponse(
            rows=masked((fill(pb.RefusedRow, row) for row in page.rows), request.read_mask),
            next_page_token=page.next_page_token,
        )

    async def ListPositionEvents(
        self, request: pb.ListPositionEventsRequest, context: Context
    ) -> pb.ListPositionEventsResponse:
        after = request.after_sequence if request.HasField("after_sequence") else None
        page = await self._events.list(
            after,
            request.page_size,
            request.page_token,
            list(request.position_ids),
            list(request.kinds),
        )
        return pb.ListPositionEventsResponse(
            events=[fill(pb.PositionEvent, event) for event in page.rows],
            next_page_token=page.next_page_token,
        )

    async def WatchPositions(
        self, request: pb.WatchPositionsRequest, context: Context
    ) -> AsyncIterator[pb.WatchPositionsResponse]:
        wanted = Filter(request.wallet, request.venue.lower(), request.asset.strip())
        async for news in self._watch.news(wanted):
            yield self._message(news)

    async def GetMode(self, request: pb.GetModeRequest, context: Context) -> pb.GetModeResponse:
        mode, reason = await self._sync.mode()
        return pb.GetModeResponse(mode=pb.Mode.ValueType(mode), reason=reason)


def _news_message(news: News) -> pb.WatchPositionsResponse:
    return fill(pb.WatchPositionsResponse, news, positions=map(position_message, news.positions))


def _draft(position: pb.Position) -> Draft:
    return read(
        Draft,
        position,
        asset=position.asset.strip(),
        side=member(Side, position.side, "position.side"),
        **{name: getattr(position, name).strip() for name in ("id", "wallet", "venue")},
    )


def _changed(position: pb.Position, path: str) -> object:
    if path == "note":
        return position.note
    if path == "side":
        return member(Side, position.side, "position.side")
    if path == "status":
        return member(Status, position.status, "position.status")
    return number(position, path)


def _filter(request: pb.ListPositionsRequest) -> Filter:
    statuses: tuple[Status, ...] = (Status.ACTIVE, Status.STALE)
    if request.all_statuses:
        statuses = ()
    elif request.status:
        statuses = (member(Status, request.status, "status"),)
    return Filter(
        request.wallet,
        request.venue.lower(),
        request.asset.strip(),
        member(Side, request.side, "side") if request.side else None,
        statuses,
    )


def _evaluation(
    price_usd: float, row: int, figures: Metrics, classic: Metrics, model: TouchModel
) -> pb.Evaluation:
    wrong_side = bool(figures.wrong_side[row])
    message = pb.Evaluation(
        price_usd=price_usd,
        flags=flag_numbers([Flag.LIQUIDATION_ON_WRONG_SIDE] if wrong_side else []),
    )
    put(message, **{name: float(getattr(figures, name)[row]) for name in METRIC_NAMES})
    put(message, heat_index_classic=float(classic.heat_index[row]))
    if message.HasField("liquidation_probability"):
        message.probability_model = pb.ProbabilityModel.ValueType(model)
    return message
