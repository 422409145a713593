"""`python -m shared.rpc.probe`: whether the server of this container is ready, for HEALTHCHECK.

A gRPC server is asked at HEALTH_ADDRESS, the gateway by HTTP where it listens. A container without
LISTEN_ADDRESS runs a command, of which nothing is asked.
"""

from __future__ import annotations

import http.client
import os
import sys
from collections.abc import Mapping

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

_SECONDS = 2.0


def problem(environ: Mapping[str, str]) -> str:
    """What is wrong; empty when nothing is."""
    listen = environ.get("LISTEN_ADDRESS", "")
    if not listen:
        return ""
    if (said := _by_grpc(_here(environ.get("HEALTH_ADDRESS", "")))) is not None:
        return said
    return _by_http(_here(listen))


def _here(address: str) -> str:
    """What listens on every address is asked on this machine."""
    host, _, port = address.rpartition(":")
    return f"127.0.0.1:{port}" if host in {"", "0.0.0.0", "[::]"} else address


def _by_grpc(address: str) -> str | None:
    """None: there is no such port here."""
    with grpc.insecure_channel(address) as channel:
        check = health_pb2_grpc.HealthStub(channel).Check
        answer: health_pb2.HealthCheckResponse
        try:
            answer = check(health_pb2.HealthCheckRequest(), timeout=_SECONDS)
        except grpc.RpcError as error:
            is_away = error.code() is grpc.StatusCode.UNAVAILABLE
            return None if is_away else f"{address}: {error.code().name}"
    if answer.status == health_pb2.HealthCheckResponse.SERVING:
        return ""
    return str(health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status))


def _by_http(address: str) -> str:
    host, _, port = address.rpartition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=_SECONDS)
    try:
        connection.request("GET", "/readyz", headers={"Host": "localhost"})
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return f"{address} does not answer ({type(error).__name__})"
    finally:
        connection.close()
    return "" if status == http.HTTPStatus.OK else f"/readyz says {status}"


def main() -> None:
    """Exit code 0: ready; 1: not, and why."""
    if said := problem(os.environ):
        sys.exit(said)


if __name__ == "__main__":
    main()
