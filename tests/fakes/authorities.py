"""Certificates that no system of ours would make."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from services.cli.certificate_maker import Authority
from shared.tls_files import TlsFiles


def now() -> datetime:
    """The moment by which gRPC judges a certificate: no test can push it."""
    return datetime.now(UTC)


def stranger(folder: Path, other: Path, kind: str) -> TlsFiles:
    """A certificate for cyclone that is `kind`: of the authority in `folder`, if of any of ours."""
    moment, day = now(), timedelta(days=1)
    authority = Authority.read(folder)
    names = ["cyclone", "operator"] if kind == "two names" else ["cyclone"]
    since, until = moment - day, moment + day
    if kind == "expired":
        since, until = moment - 2 * day, moment - day
    if kind == "not yet":
        since, until = moment + day, moment + 2 * day
    signer = Authority.made(since, until) if kind == "another authority" else authority
    pem, key = signer.certificate("cyclone", names, ["127.0.0.1"], "", since, until)
    other.mkdir()
    found = TlsFiles(other / "x.crt", other / "x.key", folder / "ca.crt")
    found.cert.write_text(pem)
    found.key.write_text(key)
    return found
