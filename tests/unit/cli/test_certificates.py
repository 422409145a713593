"""The certificates that a machine makes for itself, and when it makes them anew."""

from __future__ import annotations

import os
import ssl
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from services.cli import certificates, doctor, privacy, system
from services.cli.certificates import KEPT, RENEWED_BEFORE, ensure, expiries, files
from services.cli.plan import Plan
from shared.errors import FailedPrecondition

NAMES = ("price", "operator")
START = datetime(2026, 3, 1, tzinfo=UTC)
HOSTS = ("127.0.0.1",)


def read(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.???")}


def names_of(path: Path) -> tuple[set[str], set[str]]:
    certificate = x509.load_pem_x509_certificate(path.read_bytes())
    found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    addresses = {str(one) for one in found.get_values_for_type(x509.IPAddress)}
    return set(found.get_values_for_type(x509.DNSName)), addresses


def test_the_first_start_makes_an_authority_and_a_pair_for_every_name(tmp_path: Path) -> None:
    assert ensure(tmp_path, NAMES, HOSTS, START) == NAMES
    assert set(read(tmp_path)) == {
        *("ca.crt", "ca.key", "price.crt", "price.key", "operator.crt", "operator.key")
    }
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o600}
    for name in NAMES:
        files(tmp_path, name).read()
        assert names_of(tmp_path / f"{name}.crt") == (
            {name, "localhost"},
            {"127.0.0.1", "::1"},
        )
    assert expiries(tmp_path)["price"] == START + KEPT
    assert certificates.operators(tmp_path) == files(tmp_path, "operator")


def test_a_later_start_makes_none_and_loads_no_library_for_it(tmp_path: Path) -> None:
    ensure(tmp_path, NAMES, HOSTS, START)
    before = read(tmp_path)
    later = (START + KEPT - RENEWED_BEFORE - timedelta(hours=1)).isoformat()
    program = (
        "import sys; from datetime import datetime; from pathlib import Path;"
        "from services.cli.certificates import ensure;"
        f"made = ensure(Path({str(tmp_path)!r}), {NAMES}, {HOSTS},"
        f" datetime.fromisoformat({later!r}));"
        "sys.exit(bool(made) or 'cryptography' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
    assert read(tmp_path) == before


def test_a_month_before_their_end_they_are_made_anew_with_the_same_key(tmp_path: Path) -> None:
    ensure(tmp_path, NAMES, HOSTS, START)
    before = read(tmp_path)
    later = START + KEPT - RENEWED_BEFORE + timedelta(hours=1)
    assert ensure(tmp_path, NAMES, HOSTS, later) == NAMES
    after = read(tmp_path)
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"price.crt", "operator.crt"}
    assert expiries(tmp_path)["operator"] == later + KEPT


@pytest.mark.parametrize("name", ["price.crt", "price.key"])
@pytest.mark.parametrize("content", [b"", b"no certificate", b"\xff\x00"])
def test_a_broken_file_is_made_anew_and_no_other(tmp_path: Path, name: str, content: bytes) -> None:
    ensure(tmp_path, NAMES, HOSTS, START)
    (tmp_path / name).write_bytes(content)
    assert ensure(tmp_path, NAMES, HOSTS, START) == ("price",)
    files(tmp_path, "price").read()


def test_another_host_is_named_and_a_single_word_never(tmp_path: Path) -> None:
    ensure(tmp_path, NAMES, HOSTS, START)
    assert ensure(tmp_path, NAMES, ["10.0.0.7", "risk.example.com", "alerts"], START) == NAMES
    # `alerts` would be a second identity.
    assert names_of(tmp_path / "price.crt") == (
        {"price", "localhost", "risk.example.com"},
        {"127.0.0.1", "::1", "10.0.0.7"},
    )


@pytest.mark.parametrize("lost", ["ca.key", "notes.json"])
def test_what_is_lost_is_mended_as_a_whole(tmp_path: Path, lost: str) -> None:
    ensure(tmp_path, NAMES, HOSTS, START)
    (tmp_path / lost).unlink()
    later = START + KEPT - RENEWED_BEFORE + timedelta(hours=1)
    assert ensure(tmp_path, NAMES, HOSTS, later) == NAMES
    trust = ssl.create_default_context(cafile=tmp_path / "ca.crt")
    assert len(trust.get_ca_certs()) == 1
    of_one_authority(tmp_path)


def of_one_authority(folder: Path) -> None:
    authority = x509.load_pem_x509_certificate((folder / "ca.crt").read_bytes())
    for name in NAMES:
        made = x509.load_pem_x509_certificate((folder / f"{name}.crt").read_bytes())
        made.verify_directly_issued_by(authority)


@pytest.mark.parametrize("ahead", [timedelta(hours=2), timedelta(days=1_500)])
def test_what_a_clock_that_was_ahead_made_is_made_anew(tmp_path: Path, ahead: timedelta) -> None:
    ensure(tmp_path, NAMES, HOSTS, START + ahead)
    assert ensure(tmp_path, NAMES, HOSTS, START) == NAMES
    of_one_authority(tmp_path)
    for name in ("ca", *NAMES):
        made = x509.load_pem_x509_certificate((tmp_path / f"{name}.crt").read_bytes())
        assert made.not_valid_before_utc <= START < made.not_valid_after_utc
    # A little ahead is as good as right.
    assert ensure(tmp_path, NAMES, HOSTS, START - timedelta(minutes=30)) == ()


@pytest.mark.parametrize("fails_at", ["ca.crt", "price.key", "price.crt", "operator.crt"])
def test_a_disk_that_is_full_half_way_leaves_nothing_that_is_taken_for_whole(
    tmp_path: Path, fails_at: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ensure(tmp_path, NAMES, HOSTS, START)
    (tmp_path / "ca.key").unlink()
    write = privacy.write

    def full(file: Path, text: str) -> None:
        if file.name == fails_at:
            raise OSError(28, "No space left on device")
        write(file, text)

    (tmp_path / "price.key").unlink()
    with monkeypatch.context() as patched:
        patched.setattr(privacy, "write", full)
        with pytest.raises(OSError, match="No space"):
            ensure(tmp_path, NAMES, HOSTS, START)
    ensure(tmp_path, NAMES, HOSTS, START)
    of_one_authority(tmp_path)


def test_an_authority_from_elsewhere_is_not_trusted_beside_certificates_of_the_old_one(
    tmp_path: Path,
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    ensure(here, NAMES, HOSTS, START)
    ensure(there, NAMES, HOSTS, START)
    for name in ("ca.crt", "ca.key"):
        (here / name).write_bytes((there / name).read_bytes())
    assert ensure(here, NAMES, HOSTS, START) == NAMES
    of_one_authority(here)


def test_a_start_goes_on_with_certificates_that_are_good_where_none_can_be_made(
    tmp_path: Path,
) -> None:
    plan, said = Plan(sonic_home=tmp_path), list[str]()
    system.certify(plan)
    (plan.tls_folder / "lock").unlink()
    (plan.tls_folder / "lock").mkdir()
    assert system.certify_or_say(plan, said.append) == ()
    assert not said, "none is due"
    plan = Plan(sonic_home=tmp_path, sonic_host="127.0.0.2")
    assert system.certify_or_say(plan, said.append) == ()
    assert "cannot be renewed" in said[0]
    (plan.tls_folder / "price.key").write_text("")
    with pytest.raises(FailedPrecondition) as caught:
        system.certify_or_say(plan, said.append)
    assert caught.value.reason == "CERTIFICATES_UNUSABLE"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_a_command_of_another_user_is_told_whose_the_certificates_are(tmp_path: Path) -> None:
    ensure(tmp_path / "tls", NAMES, HOSTS, START)
    tmp_path.joinpath("tls").chmod(0o700)
    os.seteuid(12_345)
    try:
        with pytest.raises(FailedPrecondition, match="sonic up"):
            certificates.operators(tmp_path / "tls")
    finally:
        os.seteuid(0)


@pytest.mark.parametrize(
    ("ago", "verdict"),
    [(timedelta(), "ok"), (KEPT - timedelta(days=5), "warning"), (KEPT * 2, "problem")],
)
def test_the_doctor_says_until_when(tmp_path: Path, ago: timedelta, verdict: str) -> None:
    plan = Plan(sonic_home=tmp_path)
    assert doctor._certificates(plan) == []
    ensure(plan.tls_folder, NAMES, HOSTS, datetime.now(UTC) - ago)
    (found,) = doctor._certificates(plan)
    assert (found.what, found.verdict) == ("certificates", verdict)
    plan.tls_folder.joinpath("price.crt").write_text("no certificate")
    assert doctor._certificates(plan)[0].verdict == "problem"
