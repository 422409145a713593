"""The positions service as hedges sees it: columns of one moment."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
from sonic.positions.v1 import positions_pb2 as pb
from sonic.positions.v1 import positions_pb2_grpc as rpc

from services.hedges.domain import Holdings, Reading
from shared import columns
from shared.errors import SonicError, Unavailable
from shared.rpc.client import Channel, idempotent

_READ_SECONDS = 15.0
_NUMBERS = ("entry_price_usd", "mark_price_usd", "size_usd", "value_usd", "pnl_usd", "heat_index")
_INDICES = ("asset_index", "wallet_index", "side_sign")


def positions_channel(address: str) -> Channel:
    """A channel to positions on which reads are tried again while it restarts."""
    return Channel(address, retry=idempotent(pb.DESCRIPTOR))


class PositionsClient:
    """Reads ACTIVE and STALE positions over gRPC."""

    def __init__(self, channel: Channel) -> None:
        # Seen through the twin: its columns are bytes, so the generated type does not describe it.
        self._stub: Any = channel.stub(rpc.PositionsServiceStub, columns=["ReadColumns"])

    async def read(self, *, with_ids: bool) -> Reading:
        """See services.hedges.service.Positions."""
        wanted = [*_INDICES, *_NUMBERS] + (["position_id"] if with_ids else [])
        try:
            parts = [
                part
                async for part in self._stub.ReadColumns(
                    pb.ReadColumnsRequest(columns=wanted), timeout=_READ_SECONDS
                )
            ]
        except SonicError as error:
            raise Unavailable(
                "POSITIONS_UNAVAILABLE",
                f"positions cannot be read ({error.reason})",
                retry_after=timedelta(seconds=1),
            ) from error
        return _reading(parts, with_ids=with_ids)


def _reading(parts: list[Any], *, with_ids: bool) -> Reading:
    decoded = [columns.decode(part) for part in parts]
    first = parts[0] if parts else pb.PositionColumns()

    def joined(name: str, kind: type[np.generic]) -> Any:
        return np.concatenate([part[name] for part in decoded] or [np.empty(0)]).astype(kind)

    holdings = Holdings(
        wallet_names=list(first.wallet_names),
        asset_names=list(first.asset_names),
        wallet=joined("wallet_index", np.int64),
        asset=joined("asset_index", np.int64),
        side=joined("side_sign", np.int64),
        position_key=joined("position_key", np.int64),
        **{name: joined(name, np.float64) for name in _NUMBERS},
    )
    ids = [id for part in parts for id in part.position_id] if with_ids else None
    return Reading(first.membership_epoch, holdings, ids)
