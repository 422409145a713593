"""What every server shows of itself beside its calls: its pools, its certificate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from shared.metrics import Figure, Reading, Values
from shared.tls_files import TlsFiles, validity

_FIGURES = (
    Figure("sonic_db_pool_in_use", "Connections of a pool that somebody works with now", ("pool",)),
    Figure("sonic_db_pool_size", "Connections of a pool at most", ("pool",)),
    Figure(
        "sonic_tls_certificate_expiry_timestamp_seconds",
        "Until when the certificate that this server shows is good",
        ("service",),
    ),
)


class Pool(Protocol):
    """See shared.database.pool.Database."""

    @property
    def name(self) -> str: ...

    @property
    def size(self) -> int: ...

    @property
    def used_count(self) -> int: ...


def of_server(service: str, tls: TlsFiles | None, pools: Sequence[Pool] = ()) -> Reading:
    """The reading; a certificate is read each time: somebody renews it."""

    async def read() -> Values:
        until: dict[tuple[str, ...], float | None] = {}
        if tls is not None:
            until[service,] = validity(tls.cert.read_bytes())[1].timestamp()
        return {
            "sonic_db_pool_in_use": {(pool.name,): pool.used_count for pool in pools},
            "sonic_db_pool_size": {(pool.name,): pool.size for pool in pools},
            "sonic_tls_certificate_expiry_timestamp_seconds": until,
        }

    return Reading(f"{service} server", _FIGURES, read)
