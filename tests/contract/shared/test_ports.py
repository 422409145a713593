"""Ports held before anything connects out, and who has one that is taken."""

from __future__ import annotations

import errno
import os
import socket
import struct
import sys
from collections.abc import Iterator
from contextlib import closing

import pytest

from shared.ports import Holder, hold, holder_of, is_free
from shared.rpc.server import GrpcServer

linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux holds a port for others")
# Since Linux 6.3 a socket may be told from which ports it connects.
_IP_LOCAL_PORT_RANGE = 51


@pytest.fixture
def address() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


@pytest.fixture
def server() -> Iterator[socket.socket]:
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        yield listening


def connected_from(address: str, server: socket.socket) -> socket.socket:
    """A connection whose own port the system chooses, from a range of one."""
    port = int(address.rpartition(":")[2])
    made = socket.socket()
    try:
        made.setsockopt(
            socket.IPPROTO_IP, _IP_LOCAL_PORT_RANGE, struct.pack("I", port | (port << 16))
        )
    except OSError as error:
        made.close()
        if error.errno == errno.ENOPROTOOPT:
            pytest.skip("this kernel knows no range of one socket")
        raise
    try:
        made.connect(server.getsockname())
    except OSError:
        made.close()
        raise
    return made


@linux
def test_a_held_port_is_given_to_no_outgoing_connection(
    address: str, server: socket.socket
) -> None:
    (held,) = hold([address])
    with closing(held), pytest.raises(OSError, match="Cannot assign"):
        connected_from(address, server)
    # Let go, it is.
    connected_from(address, server).close()


@linux
async def test_a_server_listens_on_a_held_port_again_and_again_and_a_second_one_is_refused(
    address: str,
) -> None:
    (held,) = hold([address])
    with closing(held):
        for _ in range(2):
            first = GrpcServer(address, [], service_names=[])
            await first.start()
            with pytest.raises(OSError, match=f"{address}: taken by .*process {os.getpid()}"):
                await GrpcServer(address, [], service_names=[]).start()
            await first.stop()


def test_who_listens_on_a_port_is_named(address: str, server: socket.socket) -> None:
    taken = f"127.0.0.1:{server.getsockname()[1]}"
    assert not is_free(taken)
    assert is_free(address)
    holder = holder_of(taken)
    assert holder is not None
    assert (holder.pid, holder.is_listening) == (os.getpid(), True)
    assert holder_of(address) is None


def test_an_outgoing_connection_on_the_port_is_named_as_one(
    address: str, server: socket.socket
) -> None:
    with closing(socket.socket()) as outgoing:
        outgoing.connect(server.getsockname())
        taken = f"127.0.0.1:{outgoing.getsockname()[1]}"
        assert not is_free(taken)
        holder = holder_of(taken)
        assert holder is not None
        assert str(holder).startswith("an outgoing connection of ")
    assert str(Holder("", None, is_listening=True)) == "a process that is gone or another user's"


def test_port_zero_is_anybodys() -> None:
    assert hold(["127.0.0.1:0"]) == []
