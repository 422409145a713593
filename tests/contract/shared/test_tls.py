"""Certificates on the wire: who is let in, who answers, and files that change while both run."""

from __future__ import annotations

import asyncio
import resource
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization

from services.cli.certificates import ensure, files
from shared import errors
from shared.rpc import call
from shared.rpc.client import Channel
from shared.tls_files import Renewals
from tests.contract.shared import echo
from tests.contract.shared.talk import Servicer, served

PATH = f"/{echo.SERVICE}/GetWord"
CALLERS = {PATH: frozenset({"reader"})}


def make(folder: Path, *names: str, ago: timedelta = timedelta()) -> None:
    ensure(folder, names, ["127.0.0.1"], datetime.now(UTC) - ago)


async def said(peer: Channel) -> str:
    return (await peer.stub(echo.stub).GetWord(echo.Word(text="hello"), timeout=20)).text


class Naming(Servicer):
    """Says who called."""

    async def GetWord(self, request: Any, context: Any) -> Any:
        return echo.Word(text=call.caller())


async def test_the_servicer_learns_who_calls_from_the_certificate(tmp_path: Path) -> None:
    make(tmp_path, "server", "reader")
    own = {"identity": files(tmp_path, "reader"), "peer": "server"}
    options = {"identity": files(tmp_path, "server"), "callers": CALLERS}
    async with served(Naming(), channel=own, **options) as (_, peer):
        assert await said(peer) == "reader"


async def test_a_server_that_is_another_than_it_should_be_is_not_spoken_to(tmp_path: Path) -> None:
    make(tmp_path, "server", "reader", "other")
    own = {"identity": files(tmp_path, "reader"), "peer": "other"}
    options = {"identity": files(tmp_path, "server"), "callers": CALLERS}
    async with served(Naming(), channel=own, **options) as (_, peer):
        with pytest.raises(errors.Unavailable):
            await said(peer)


async def test_new_certificates_are_taken_while_both_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.rpc.tls._LOOK_SECONDS", 0.0)
    make(tmp_path, "server", "reader")
    own = {"identity": files(tmp_path, "reader"), "peer": "server"}
    options = {"identity": files(tmp_path, "server"), "callers": CALLERS}
    async with served(Naming(), channel=own, **options) as (_, peer):
        assert await said(peer) == "reader"
        before = peer.channel.opened()
        assert peer.channel.opened() is before
        # Another authority, as after its key was lost: nothing old is good any more.
        (tmp_path / "ca.key").unlink()
        (tmp_path / "notes.json").unlink()
        make(tmp_path, "server", "reader")
        assert await said(peer) == "reader"
        assert peer.channel.opened() is not before


async def test_a_file_that_is_half_written_changes_nothing(tmp_path: Path) -> None:
    make(tmp_path, "server")
    renewals = Renewals(files(tmp_path, "server"))
    first = renewals.first()
    whole = (tmp_path / "server.crt").read_text()
    (tmp_path / "server.crt").write_text(whole[:100])
    assert renewals.later() is None
    (tmp_path / "server.crt").write_text(whole)
    assert renewals.later() == first
    assert renewals.later() is None


async def test_files_that_could_not_be_read_for_a_moment_are_read_again(tmp_path: Path) -> None:
    make(tmp_path, "server")
    renewals = Renewals(files(tmp_path, "server"))
    first = renewals.first()
    make(tmp_path, "server", ago=timedelta(days=1))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        assert renewals.later() is None
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert renewals.later() not in (None, first)
    assert renewals.later() is None


async def test_a_key_with_a_password_is_refused_and_asks_nobody(tmp_path: Path) -> None:
    make(tmp_path, "server")
    key = tmp_path / "server.key"
    plain = serialization.load_pem_private_key(key.read_bytes(), None)
    sealed = serialization.BestAvailableEncryption(b"secret")
    form = serialization.PrivateFormat.PKCS8
    key.write_bytes(plain.private_bytes(serialization.Encoding.PEM, form, sealed))
    with pytest.raises(ssl.SSLError):
        files(tmp_path, "server").read()


async def test_a_call_in_flight_outlives_its_old_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.rpc.tls._LOOK_SECONDS", 0.0)
    go_on = asyncio.Event()

    class Slow(Servicer):
        async def GetWord(self, request: Any, context: Any) -> Any:
            if request.text == "slow":
                await go_on.wait()
            return request

    make(tmp_path, "server", "reader")
    own = {"identity": files(tmp_path, "reader"), "peer": "server"}
    options = {"identity": files(tmp_path, "server"), "callers": CALLERS}
    async with served(Slow(), channel=own, **options) as (_, peer):
        stub = peer.stub(echo.stub)
        await said(peer)
        slow = asyncio.ensure_future(_text(stub.GetWord(echo.Word(text="slow"), timeout=50)))
        await asyncio.sleep(0)
        (tmp_path / "reader.crt").unlink()
        make(tmp_path, "server", "reader")
        assert await said(peer) == "hello"
        go_on.set()
        assert await slow == "slow"


async def _text(made: Any) -> str:
    text: str = (await made).text
    return text


async def test_files_that_are_no_certificate_say_so(tmp_path: Path) -> None:
    make(tmp_path, "reader")
    (tmp_path / "reader.key").write_text("no key")
    peer = Channel("127.0.0.1:1", identity=files(tmp_path, "reader"))
    with pytest.raises(errors.Unavailable) as raised:
        await said(peer)
    assert raised.value.reason == "CERTIFICATE_UNREADABLE"
    await peer.stop()
