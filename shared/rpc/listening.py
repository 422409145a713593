"""Where a server listens, and who has the address when it cannot."""

from __future__ import annotations

import grpc

from shared.ports import holder_of


def bind(
    server: grpc.aio.Server, listen_address: str, credentials: grpc.ServerCredentials | None = None
) -> int:
    """The port, by TLS with credentials. Raises OSError that names who has it."""
    try:
        if credentials is not None:
            return server.add_secure_port(listen_address, credentials)
        return server.add_insecure_port(listen_address)
    except RuntimeError as error:
        raise cannot_listen(listen_address, error) from error


def cannot_listen(listen_address: str, problem: Exception) -> OSError:
    """The same, with who has it, where that is known."""
    holder = None if listen_address.startswith("unix:") else holder_of(listen_address)
    return OSError(
        f"cannot listen on {listen_address}: taken by {holder}" if holder else str(problem)
    )


def dialled(listen_address: str, port: int) -> str:
    """The address a client on this machine dials."""
    if listen_address.startswith("unix:"):
        return listen_address
    host = listen_address.rpartition(":")[0]
    return f"{'127.0.0.1' if host in ('0.0.0.0', '[::]', '') else host}:{port}"
