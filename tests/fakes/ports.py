"""Ports for a system of a run: several runs may go on at once, and none takes another's."""

from __future__ import annotations

import os
import socket

from services.cli.plan import SERVICES

_FIRST, _LAST, _STEP = 20_000, 32_000, 10
# The gateway stands behind the services.
_GATEWAY_OFFSET = max(SERVICES.values()) + 1


def free_settings() -> dict[str, str]:
    """SONIC_PORT_BASE and SONIC_HTTP_PORT of neighbouring ports that nobody listens on."""
    places = (_LAST - _FIRST) // _STEP
    for number in range(places):
        # Each run begins to look elsewhere.
        base = _FIRST + (os.getpid() + number * 7) % places * _STEP
        if all(_is_free(base + offset) for offset in (*SERVICES.values(), _GATEWAY_OFFSET)):
            return {
                "SONIC_PORT_BASE": str(base),
                "SONIC_HTTP_PORT": str(base + _GATEWAY_OFFSET),
            }
    raise OSError("no ports are free")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
