"""The positions service as hedges sees it: columns of one moment."""

from __future__ import annotations

from collections.abc import Awaitable, Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any

import numpy as np
from sonic.positions.v1 import positions_pb2 as pb
from sonic.positions.v1 import positions_pb2_grpc as rpc

from services.hedges.domain.holdings import Holdings, Legs
from shared import columns
from shared.errors import NotFound, SonicError, Unavailable
from shared.rpc.client import Channel, idempotent
from shared.service_tokens import Identity

# Of wallets that no person put into another one.
PORTFOLIO = "portfolio"
_READ_SECONDS = 15.0
_ASK_SECONDS = 5.0
_MOST_KEYS = 10_000  # that ReadColumns takes
_INDICES = ("asset_index", "wallet_index", "side_sign")
_FIGURES = ("entry_price_usd", "mark_price_usd", "size_usd", "value_usd", "pnl_usd", "heat_index")
_LEG_FIGURES = (
    "entry_price_usd",
    "mark_price_usd",
    "risk_liquidation_price_usd",
    "size_usd",
    "collateral_usd",
)
_DOUBTS = ("status", "flag_bits")
_LEG_COLUMNS = (*_INDICES, "venue_index", *_LEG_FIGURES, "mark_time_micros", *_DOUBTS)
_SPOT_BIT, _REFUSED_BIT = 1 << pb.FLAG_SPOT, 1 << pb.FLAG_ROW_REFUSED


class _Stream:
    """The messages of one ReadColumns, joined."""

    def __init__(self, parts: list[Any]) -> None:
        self.first = parts[0] if parts else pb.PositionColumns()
        self._decoded = [columns.decode(part) for part in parts]
        self.position_ids = [id for part in parts for id in part.position_id]

    def column(self, name: str) -> Any:
        parts = [part[name] for part in self._decoded]
        return parts[0] if len(parts) == 1 else np.concatenate(parts or [np.empty(0, np.int32)])

    @property
    def stale(self) -> Any:
        """Of each position: see Holdings."""
        refused = self.column("flag_bits") & _REFUSED_BIT != 0
        return refused | (self.column("status") != pb.STATUS_ACTIVE)

    def named(self, names: Sequence[str], index: str, rows: Sequence[int]) -> tuple[str, ...]:
        """What a dictionary column holds in these rows."""
        return tuple(names[place] for place in self.column(index)[rows].tolist())

    def place(self, names: Sequence[str], index: str, name: str) -> Any:
        """Where a dictionary column holds `name`."""
        return self.column(index) == (list(names).index(name) if name in names else -1)


def positions_channel(address: str, identity: Identity | None = None) -> Channel:
    """A channel to positions on which reads are tried again while it restarts."""
    return Channel(address, retry=idempotent(pb.DESCRIPTOR), identity=identity, peer="positions")


class PositionsClient:
    """Reads ACTIVE and STALE positions over gRPC; text ids are asked for by key.

    `is_by_portfolio`: what is called a wallet is the portfolio it is in, over wallets and venues.
    """

    def __init__(self, channel: Channel, *, is_by_portfolio: bool = False) -> None:
        self._is_by_portfolio = is_by_portfolio
        # Columns come as bytes, so the generated type does not describe the answer.
        self._stub: Any = channel.stub(rpc.PositionsServiceStub, columns=["ReadColumns"])
        self._wallets = channel.stub(rpc.WalletsServiceStub)

    async def read(self) -> Holdings:
        """See services.hedges.service.ports.Positions."""
        stream = await self._stream([*_INDICES, *_FIGURES, *_DOUBTS])
        names, groups = self._groups(stream)
        return Holdings(
            wallet_names=names,
            asset_names=list(stream.first.asset_names),
            wallet=groups,
            asset=stream.column("asset_index"),
            side=stream.column("side_sign"),
            position_key=stream.column("position_key"),
            stale=stream.stale,
            **{name: stream.column(name) for name in _FIGURES},
        )

    async def ids(self, position_keys: Sequence[int]) -> Mapping[int, str]:
        """See services.hedges.service.ports.Positions."""
        if not position_keys:
            return {}
        # All of them at once when they are too many to be named.
        asked = position_keys if len(position_keys) <= _MOST_KEYS else ()
        stream = await self._stream(["position_id"], asked)
        return dict(zip(stream.column("position_key").tolist(), stream.position_ids, strict=True))

    async def legs(self, wallet: str, asset: str, position_ids: Collection[str]) -> Legs:
        """See services.hedges.service.ports.Positions."""
        stream = await self._stream(_LEG_COLUMNS)
        names, groups = self._groups(stream)
        near = groups == (names.index(wallet) if wallet in names else -1)
        near &= stream.place(stream.first.asset_names, "asset_index", asset)
        near &= stream.column("side_sign") != 0
        keys = stream.column("position_key").tolist()
        found = np.flatnonzero(near).tolist()
        known = await self.ids([keys[row] for row in found])
        ids, wanted = {row: known.get(keys[row], "") for row in found}, set(position_ids)
        rows = sorted((row for row in found if ids[row] in wanted), key=ids.__getitem__)
        entry, mark, liquidation, size, collateral = (
            stream.column(name)[rows] for name in _LEG_FIGURES
        )
        return Legs(
            tuple(ids[row] for row in rows),
            stream.column("side_sign")[rows].astype(np.int64),
            entry,
            mark,
            liquidation,
            size,
            collateral,
            stream.column("mark_time_micros")[rows],
            stream.named(stream.first.wallet_names, "wallet_index", rows),
            stream.named(stream.first.venue_names, "venue_index", rows),
            tuple((stream.column("flag_bits")[rows] & _SPOT_BIT != 0).tolist()),
            tuple(stream.stale[rows].tolist()),
        )

    def _groups(self, stream: _Stream) -> tuple[list[str], Any]:
        """Names of those who hedge, and which of them each position is of."""
        names, index = list(stream.first.wallet_names), stream.column("wallet_index")
        if not self._is_by_portfolio:
            return names, index
        labels = [_label(name) for name in stream.first.wallet_portfolios]
        groups = list(dict.fromkeys(labels))
        places = np.array([groups.index(label) for label in labels] or [0], np.int32)
        return groups, places[index]

    async def has_wallet(self, name: str) -> bool:
        """See services.hedges.service.ports.Positions."""
        if self._is_by_portfolio:
            return name in self._groups(await self._stream(_INDICES))[0]
        return await _is_there(
            self._wallets.GetWallet(pb.GetWalletRequest(name=name), timeout=_ASK_SECONDS)
        )

    async def has_position(self, id: str) -> bool:
        """See services.hedges.service.ports.Positions."""
        return await _is_there(
            self._stub.GetPosition(pb.GetPositionRequest(id=id), timeout=_ASK_SECONDS)
        )

    async def _stream(self, wanted: Sequence[str], position_keys: Sequence[int] = ()) -> _Stream:
        request = pb.ReadColumnsRequest(columns=wanted, position_keys=position_keys)
        try:
            return _Stream(
                [part async for part in self._stub.ReadColumns(request, timeout=_READ_SECONDS)]
            )
        except SonicError as error:
            raise _unavailable(error) from error


def _label(portfolio: str) -> str:
    """What a portfolio is called; one that has the name of those without a portfolio, or begins
    with it, by its whole tag.
    """
    is_like = portfolio == PORTFOLIO or portfolio.startswith(f"{PORTFOLIO}:")
    return f"{PORTFOLIO}:{portfolio}" if is_like else portfolio or PORTFOLIO


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
