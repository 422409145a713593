"""Tokens: made, found, ended; kept as hashes in a file that is read again when it changes."""

from __future__ import annotations

import os
import resource
import stat
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from shared import tokens
from shared.clock import PushedClock
from shared.errors import AlreadyExists, InvalidArgument, NotFound, Unavailable
from shared.secret_shapes import looks_secret
from shared.tokens import Scope, TokenFile

NOW = datetime(2026, 11, 29, 3, tzinfo=UTC)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "home" / tokens.FILE_NAME


def make(file: Path, name: str = "phone", expires: datetime | None = None) -> str:
    return tokens.create(file, name, Scope.OPERATE, NOW, expires)[1]


def test_a_token_is_found_by_its_text_and_only_its_hash_is_kept(file: Path) -> None:
    text = make(file)
    found = TokenFile(file, PushedClock(NOW)).find(text)
    assert found is not None
    assert (found.name, found.scope) == ("phone", Scope.OPERATE)
    assert text.rpartition("_")[2] not in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_file_that_could_not_be_read_for_a_moment_is_read_again(
    file: Path,
) -> None:
    clock, text = PushedClock(NOW), make(file)
    seen = TokenFile(file, clock)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        with pytest.raises(Unavailable):
            seen.find(text)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    clock.advance(1)
    assert seen.find(text) is not None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_what_root_changes_stays_its_owners(file: Path) -> None:
    file.parent.mkdir()
    os.chown(file.parent, 12_345, 12_345)
    make(file)
    tokens.revoke(file, "phone", NOW)
    for path in file.parent.iterdir():
        assert (path.stat().st_uid, path.stat().st_gid) == (12_345, 12_345)


def test_no_log_shows_a_token(file: Path) -> None:
    assert looks_secret(make(file))


@pytest.mark.parametrize("change", ["", "x", "sonic_", "id", "secret", "upper", "space", "none"])
def test_what_is_not_exactly_the_token_is_nobody(file: Path, change: str) -> None:
    text = make(file)
    _, id, secret = text.split("_")
    other = {
        "id": f"sonic_{'0' * 12}_{secret}",
        "secret": f"sonic_{id}_{'0' * 64}",
        "upper": text.upper(),
        "space": f"{text} ",
        "none": "sonic__",
    }.get(change, change)
    assert TokenFile(file, PushedClock(NOW)).find(other) is None


def test_a_token_ends_when_it_expires_and_a_second_after_it_is_revoked(file: Path) -> None:
    clock = PushedClock(NOW)
    short, revoked = make(file, "short", NOW + timedelta(minutes=1)), make(file, "other")
    seen = TokenFile(file, clock)
    assert seen.find(short)
    assert seen.find(revoked)
    tokens.revoke(file, "other", NOW)
    clock.advance(1)
    assert seen.find(revoked) is None
    assert seen.find(short)
    clock.advance(59)
    assert seen.find(short) is None


def test_a_name_is_in_use_once_and_free_again_after_its_end(file: Path) -> None:
    make(file)
    with pytest.raises(AlreadyExists, match="in use"):
        make(file)
    tokens.revoke(file, "phone", NOW)
    make(file)
    with pytest.raises(NotFound):
        tokens.revoke(file, "nobody", NOW)


@pytest.mark.parametrize("name", ["", " ", "-x", "a b", "a" * 65, "ä", "a\n"])
def test_a_name_that_could_not_stand_in_a_log_is_refused(file: Path, name: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        make(file, name)
    assert "name" in caught.value.fields


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": 2}', '{"tokens": [{"id": "1"}]}'])
def test_a_file_that_cannot_be_read_lets_nobody_in_and_says_so(file: Path, text: str) -> None:
    whole = make(file)
    file.write_text(text)
    with pytest.raises(Unavailable) as caught:
        TokenFile(file, PushedClock(NOW)).find(whole)
    assert caught.value.reason == "TOKENS_UNREADABLE"
    with pytest.raises(Unavailable):
        make(file, "second")
    assert file.read_text() == text


def test_a_file_that_is_mended_is_taken_again_and_one_that_goes_leaves_nobody(file: Path) -> None:
    clock = PushedClock(NOW)
    text = make(file)
    good = file.read_bytes()
    seen = TokenFile(file, clock)
    file.write_text("{")
    with pytest.raises(Unavailable):
        seen.find(text)
    file.write_bytes(good)
    clock.advance(1)
    assert seen.find(text)
    file.unlink()
    clock.advance(1)
    assert seen.find(text) is None


def test_tokens_made_at_once_are_all_kept(file: Path) -> None:
    makers = [threading.Thread(target=make, args=(file, f"n{place}")) for place in range(12)]
    for maker in makers:
        maker.start()
    for maker in makers:
        maker.join()
    assert {token.name for token in tokens.read(file)} == {f"n{place}" for place in range(12)}
