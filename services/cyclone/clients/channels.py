"""The channels to the other services, and which of their methods may be tried again."""

from __future__ import annotations

from collections.abc import Mapping

from sonic.alerts.v1 import alerts_pb2
from sonic.hedges.v1 import hedges_pb2
from sonic.monitor.v1 import monitor_pb2
from sonic.positions.v1 import positions_pb2
from sonic.price.v1 import price_pb2
from sonic.withdrawals.v1 import withdrawals_pb2
from sonic.xcom.v1 import xcom_pb2

from shared.rpc.client import Channel, idempotent
from shared.service_tokens import Identity

# Each step is answered from its record when it comes twice, so it may be tried again.
_RETRIED: Mapping[str, list[str]] = {
    "price": idempotent(price_pb2.DESCRIPTOR, "RefreshPrices"),
    "positions": idempotent(
        positions_pb2.DESCRIPTOR, "SyncPositions", "EnrichPositions", "RecordSnapshot"
    ),
    "hedges": idempotent(hedges_pb2.DESCRIPTOR, "LinkHedges"),
    "alerts": idempotent(
        alerts_pb2.DESCRIPTOR,
        "CreateAlerts",
        "EvaluateAlerts",
        "ClearStaleAlerts",
        "FlushOutbox",
        "RaiseDeath",
        "ResolveDeath",
    ),
    "monitor": idempotent(monitor_pb2.DESCRIPTOR, "RunMonitors"),
    "withdrawals": idempotent(withdrawals_pb2.DESCRIPTOR, "Evaluate"),
    "xcom": idempotent(xcom_pb2.DESCRIPTOR, "Send", "SendDocument"),
}


def channels(addresses: Mapping[str, str], identity: Identity | None = None) -> dict[str, Channel]:
    """One channel for each service with an address, by its name; each is a Part."""
    return {
        name: Channel(address, retry=_RETRIED[name], identity=identity, peer=name)
        for name, address in addresses.items()
        if address
    }
