"""The certificates that a machine makes for itself, and when it makes them anew."""

from __future__ import annotations

import ssl
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from services.cli import certificates, doctor
from services.cli.certificates import KEPT, RENEWED_BEFORE, ensure, expiries, files
from services.cli.plan import Plan

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
@pytest.mark.parametrize("text", ["", "no certificate"])
def test_a_broken_file_is_made_anew_and_no_other(tmp_path: Path, name: str, text: str) -> None:
    ensure(tmp_path, NAMES, HOSTS, START)
    (tmp_path / name).write_text(text)
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
    authority = x509.load_pem_x509_certificate((tmp_path / "ca.crt").read_bytes())
    for name in NAMES:
        made = x509.load_pem_x509_certificate((tmp_path / f"{name}.crt").read_bytes())
        made.verify_directly_issued_by(authority)


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
