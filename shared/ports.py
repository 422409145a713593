"""Listening ports: held before anything else can have them, and who has one that is taken."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterable
from dataclasses import dataclass

import psutil


@dataclass(frozen=True, slots=True)
class Holder:
    """Who has a port: a process that listens there, or a connection that happens to start from
    it."""

    name: str
    pid: int | None
    is_listening: bool

    def __str__(self) -> str:
        who = (
            f"{self.name} (process {self.pid})"
            if self.pid
            else "a process that is gone or another user's"
        )
        return who if self.is_listening else f"an outgoing connection of {who}"


def is_free(address: str) -> bool:
    """Whether a server could listen on host:port now."""
    probe = _bound(address)
    if probe is not None:
        probe.close()
    return probe is not None


def holder_of(address: str) -> Holder | None:
    """Who has the port; None when nobody does, or this system does not tell."""
    port = int(address.rpartition(":")[2])
    try:
        found = [
            one for one in psutil.net_connections("tcp") if one.laddr and one.laddr.port == port
        ]
    except psutil.Error:
        return None
    # The listener first: connections it took have its port too.
    for one in sorted(found, key=lambda one: one.status != psutil.CONN_LISTEN):
        # A bound socket that does not listen is one held like ours.
        if one.status != psutil.CONN_CLOSE:
            return Holder(_name_of(one.pid), one.pid, one.status == psutil.CONN_LISTEN)
    return None


def hold(addresses: Iterable[str]) -> list[socket.socket]:
    """Keep these ports from outgoing connections until the sockets are closed; servers may listen
    on them.

    Bound, and never listening: Linux lets another socket with SO_REUSEADDR listen there, refuses a
    second listener, and gives the port to no connection. Elsewhere nothing is held. A taken one is
    left out.
    """
    if sys.platform != "linux":
        return []
    bound = [_bound(address) for address in addresses if not address.endswith(":0")]
    return [one for one in bound if one is not None]


def _bound(address: str) -> socket.socket | None:
    host, _, port = address.rpartition(":")
    made = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((host.strip("[]"), int(port)))
    except OSError:
        made.close()
        return None
    return made


def _name_of(pid: int | None) -> str:
    try:
        return str(psutil.Process(pid).name()) if pid else ""
    except psutil.Error:
        return "a process"
