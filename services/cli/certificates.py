"""The authority of one machine, and the certificates it gives to its servers and to the person.

`ca.crt` and `ca.key`, a pair for each name, and `notes.json`, which says until when they are good:
a start that finds them so loads no library for them.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from services.cli import privacy
from shared.errors import FailedPrecondition
from shared.tls_files import TlsFiles

# Whose certificate a person shows: `sonic` itself, grpcurl, programs of one's own.
OPERATOR = "operator"
KEPT = timedelta(days=90)
RENEWED_BEFORE = timedelta(days=30)
_AUTHORITY_KEPT = timedelta(days=3650)
# A clock that was set back a little must not make a new certificate one of the future.
_SKEW = timedelta(hours=1)
_NOTES = "notes.json"
_LOOPBACK = ("127.0.0.1", "::1")


def files(folder: Path, name: str) -> TlsFiles:
    """Where the certificate of a name is, or will be."""
    return TlsFiles(folder / f"{name}.crt", folder / f"{name}.key", folder / "ca.crt")


def variables(folder: Path, name: str) -> dict[str, str]:
    """What a server is told of them."""
    found = files(folder, name)
    return {"TLS_CERT": str(found.cert), "TLS_KEY": str(found.key), "TLS_CA": str(found.ca)}


def operators(folder: Path) -> TlsFiles | None:
    """The person's own, when there are any."""
    found = files(folder, OPERATOR)
    try:
        found.cert.stat(), found.ca.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except PermissionError as error:
        raise FailedPrecondition(
            "CERTIFICATES_NOT_YOURS",
            f"{folder} is readable by its owner alone, and servers ask for a certificate: run this"
            " as whoever runs sonic up, or name others in TLS_CERT, TLS_KEY and TLS_CA",
        ) from error
    return found


def ensure(
    folder: Path, names: Collection[str], hosts: Collection[str], now: datetime
) -> tuple[str, ...]:
    """The names whose certificates were made now, or made anew: missing, broken, for other hosts,
    or good for less than 30 more days. `hosts` are where others may ask for the servers.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _alone(folder):
        if not are_due(folder, names, hosts, now):
            return ()
        notes = _notes(folder)
        due = [name for name in names if _is_due(folder, name, sorted(hosts), notes, now)]
        return _made(folder, names, due, sorted(hosts), notes, now)


def are_due(folder: Path, names: Collection[str], hosts: Collection[str], now: datetime) -> bool:
    """Whether ensure() would make any."""
    notes = _notes(folder)
    return not _is_good(notes.get("ca"), now + KEPT, now + _AUTHORITY_KEPT) or any(
        _is_due(folder, name, sorted(hosts), notes, now) for name in names
    )


def are_good(folder: Path, names: Collection[str], now: datetime) -> bool:
    """Whether those that are there can be used now, by what was noted of them."""
    notes = _notes(folder)
    try:
        for name in names:
            files(folder, name).read()
    except (OSError, ValueError):
        return False
    return all(_is_good(notes.get(name), now, now + KEPT) for name in names)


def expiries(folder: Path) -> dict[str, datetime]:
    """Until when each is good, by the certificates themselves. Raises OSError, ValueError."""
    from cryptography import x509

    return {
        path.stem: x509.load_pem_x509_certificate(path.read_bytes()).not_valid_after_utc
        for path in sorted(folder.glob("*.crt"))
    }


def _made(
    folder: Path,
    names: Collection[str],
    due: Collection[str],
    hosts: list[str],
    notes: dict[str, Any],
    now: datetime,
) -> tuple[str, ...]:
    # Thirty milliseconds and ten megabytes that only who is in need of certificates pays.
    from services.cli.certificate_maker import Authority

    authority = None
    if _is_good(notes.get("ca"), now + KEPT, now + _AUTHORITY_KEPT):
        with suppress(OSError, ValueError):
            authority = Authority.read(folder)
    if authority is None:
        # With another authority all are made anew, or half of them would not know the other half.
        authority, due = Authority.made(now - _SKEW, now + _AUTHORITY_KEPT), names
        notes = {"ca": (now + _AUTHORITY_KEPT).isoformat()}
        # Whoever is killed among the files below leaves nothing that is taken for whole.
        (folder / _NOTES).unlink(missing_ok=True)
        privacy.write(folder / "ca.key", authority.key_pem)
        privacy.write(folder / "ca.crt", authority.pem)
    dns = ["localhost", *(host for host in hosts if not _is_ip(host) and "." in host)]
    addresses = [*_LOOPBACK, *(host for host in hosts if _is_ip(host) and host not in _LOOPBACK)]
    for name in due:
        key = folder / f"{name}.key"
        # The key stays: a certificate is then replaced in one step, and never beside another's key.
        known = key.read_text(errors="replace") if key.is_file() else ""
        pem, key_pem = authority.certificate(
            name, [name, *dns], addresses, known, now - _SKEW, now + KEPT
        )
        if key_pem != known:
            privacy.write(key, key_pem)
        privacy.write(folder / f"{name}.crt", pem)
        notes[name] = (now + KEPT).isoformat()
    notes |= {"hosts": hosts, "ca_sha256": _sha256(folder / "ca.crt")}
    privacy.write(folder / _NOTES, json.dumps(notes, indent=1))
    return tuple(due)


def _is_due(
    folder: Path, name: str, hosts: list[str], notes: Mapping[str, Any], now: datetime
) -> bool:
    is_good = _is_good(notes.get(name), now + RENEWED_BEFORE, now + KEPT)
    if notes.get("hosts") != hosts or not is_good:
        return True
    try:
        files(folder, name).read()
    except (OSError, ValueError):
        return True
    return False


def _is_good(until: object, moment: datetime, latest: datetime) -> bool:
    """Beyond the moment, and no further than one made now would be: what a clock that was ahead
    made is not good yet.
    """
    try:
        return moment < datetime.fromisoformat(str(until)).astimezone(UTC) <= latest + _SKEW
    except ValueError:
        return False


def _notes(folder: Path) -> dict[str, Any]:
    """Nothing when they are of another authority than the one that lies there."""
    try:
        notes = json.loads((folder / _NOTES).read_text())
        is_of_this = isinstance(notes, dict) and notes["ca_sha256"] == _sha256(folder / "ca.crt")
    except (OSError, ValueError, KeyError):
        return {}
    return notes if is_of_this else {}


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _is_ip(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Two at once would make two authorities."""
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)
