"""The positions service as hedges sees it: columns of one moment."""

from __future__ import annotations

from collections.abc import Awaitable, Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
from sonic.positions.v1 import positions_pb2 as pb
from sonic.positions.v1 import positions_pb2_grpc as rpc

from services.hedges.domain.holdings import Holdings, Integers, Legs, Reading
from shared import columns
from shared.errors import NotFound, SonicError, Unavailable
from shared.rpc.client import Channel, idempotent

_READ_SECONDS = 15.0
_ASK_SECONDS = 5.0
_INDICES = ("asset_index", "wallet_index", "side_sign")
_FIGURES = ("entry_price_usd", "mark_price_usd", "size_usd", "value_usd", "pnl_usd", "heat_index")
_LEG_FIGURES = (
    "entry_price_usd",
    "mark_price_usd",
    "risk_liquidation_price_usd",
    "size_usd",
    "collateral_usd",
)
_LEG_COLUMNS = (*_INDICES, *_LEG_FIGURES, "mark_time_micros")


@dataclass(frozen=True, slots=True)
class _Names:
    """Text ids of the rows with these keys: as long as the keys are the same, so are the ids."""

    membership_epoch: int
    position_key: Integers
    position_ids: Sequence[str]

    def fit(self, stream: _Stream) -> bool:
        return self.membership_epoch == stream.first.membership_epoch and np.array_equal(
            self.position_key, stream.column("position_key", np.int64)
        )


class _Stream:
    """The messages of one ReadColumns, joined."""

    def __init__(self, parts: list[Any]) -> None:
        self.first = parts[0] if parts else pb.PositionColumns()
        self._decoded = [columns.decode(part) for part in parts]
        self.position_ids = [id for part in parts for id in part.position_id]

    def column(self, name: str, kind: type[np.generic]) -> Any:
        return np.concatenate([part[name] for part in self._decoded] or [np.empty(0)]).astype(kind)

    def place(self, names: Sequence[str], index: str, name: str) -> Any:
        """Where a dictionary column holds `name`."""
        return self.column(index, np.int64) == (list(names).index(name) if name in names else -1)


def positions_channel(address: str) -> Channel:
    """A channel to positions on which reads are tried again while it restarts."""
    return Channel(address, retry=idempotent(pb.DESCRIPTOR))


class PositionsClient:
    """Reads ACTIVE and STALE positions over gRPC; text ids travel only when rows came or went."""

    def __init__(self, channel: Channel) -> None:
        # Columns come as bytes, so the generated type does not describe the answer.
        self._stub: Any = channel.stub(rpc.PositionsServiceStub, columns=["ReadColumns"])
        self._wallets = channel.stub(rpc.WalletsServiceStub)
        self._names: _Names | None = None

    async def read(self) -> Reading:
        """See services.hedges.service.Positions."""
        stream, ids = await self._named([*_INDICES, *_FIGURES])
        holdings = Holdings(
            wallet_names=list(stream.first.wallet_names),
            asset_names=list(stream.first.asset_names),
            wallet=stream.column("wallet_index", np.int64),
            asset=stream.column("asset_index", np.int64),
            side=stream.column("side_sign", np.int64),
            position_key=stream.column("position_key", np.int64),
            **{name: stream.column(name, np.float64) for name in _FIGURES},
        )
        return Reading(holdings, ids)

    async def legs(self, wallet: str, asset: str, position_ids: Collection[str]) -> Legs:
        """See services.hedges.service.Positions."""
        stream, ids = await self._named(_LEG_COLUMNS)
        side = stream.column("side_sign", np.int64)
        near = stream.place(stream.first.wallet_names, "wallet_index", wallet) & (side != 0)
        near &= stream.place(stream.first.asset_names, "asset_index", asset)
        wanted = set(position_ids)
        rows = sorted(
            (row for row in np.flatnonzero(near).tolist() if ids[row] in wanted),
            key=ids.__getitem__,
        )
        entry, mark, liquidation, size, collateral = (
            stream.column(name, np.float64)[rows] for name in _LEG_FIGURES
        )
        mark_time = stream.column("mark_time_micros", np.int64)[rows]
        return Legs(
            tuple(ids[row] for row in rows),
            side[rows],
            entry,
            mark,
            liquidation,
            size,
            collateral,
            mark_time,
        )

    async def has_wallet(self, name: str) -> bool:
        """See services.hedges.service.Positions."""
        return await _is_there(
            self._wallets.GetWallet(pb.GetWalletRequest(name=name), timeout=_ASK_SECONDS)
        )

    async def has_position(self, id: str) -> bool:
        """See services.hedges.service.Positions."""
        return await _is_there(
            self._stub.GetPosition(pb.GetPositionRequest(id=id), timeout=_ASK_SECONDS)
        )

    async def _named(self, wanted: Sequence[str]) -> tuple[_Stream, Sequence[str]]:
        """The columns, and the id of each row: known from before, or read in the same stream."""
        names = self._names
        if names is not None:
            stream = await self._stream(wanted)
            if names.fit(stream):
                return stream, names.position_ids
        stream = await self._stream([*wanted, "position_id"])
        keys = stream.column("position_key", np.int64)
        self._names = _Names(stream.first.membership_epoch, keys, stream.position_ids)
        return stream, stream.position_ids

    async def _stream(self, wanted: Sequence[str]) -> _Stream:
        request = pb.ReadColumnsRequest(columns=wanted)
        try:
            return _Stream(
                [part async for part in self._stub.ReadColumns(request, timeout=_READ_SECONDS)]
            )
        except SonicError as error:
            raise _unavailable(error) from error


async def _is_there(call: Awaitable[object]) -> bool:
    try:
        await call
    except NotFound:
        return False
    except SonicError as error:
        raise _unavailable(error) from error
    return True


def _unavailable(error: SonicError) -> Unavailable:
    return Unavailable(
        "POSITIONS_UNAVAILABLE",
        f"positions cannot be read ({error.reason})",
        retry_after=timedelta(seconds=1),
    )
