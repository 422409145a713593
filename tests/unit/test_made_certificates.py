"""The certificates that make-secrets.sh makes for a deployment, and when it makes them anew."""

from __future__ import annotations

import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from services.cli.certificate_maker import Authority
from services.cli.certificates import OPERATOR
from services.cli.plan import GATEWAY, SERVICES
from shared.tls_files import TlsFiles

MAKE = Path(__file__).resolve().parents[2] / "deploy" / "make-secrets.sh"


def make(folder: Path) -> None:
    subprocess.run([str(MAKE), str(folder)], check=True, env={"PATH": "/usr/bin:/bin"})


@pytest.mark.slow
def test_made_certificates_name_their_owner_and_are_renewed_before_they_end(
    tmp_path: Path,
) -> None:
    secrets_folder = tmp_path / "first"
    make(secrets_folder)
    authority = x509.load_pem_x509_certificate(
        (secrets_folder / "authority" / "ca.crt").read_bytes()
    )
    assert (secrets_folder / "authority").stat().st_mode & 0o777 == 0o700
    for name in (*SERVICES, GATEWAY, OPERATOR):
        own = secrets_folder / name
        TlsFiles(own / "tls.crt", own / "tls.key", own / "ca.crt").read()
        made = x509.load_pem_x509_certificate((own / "tls.crt").read_bytes())
        made.verify_directly_issued_by(authority)
        named = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert named.get_values_for_type(x509.DNSName) == [name, "localhost"]
    folder = tmp_path / "secrets"
    shutil.copytree(secrets_folder, folder)
    ended = Authority.read(folder / "authority")
    now = datetime.now(UTC)
    key = (folder / "price" / "tls.key").read_text()
    soon = now + timedelta(days=29)
    pem, _ = ended.certificate("price", ["price"], [], key, now - timedelta(days=1), soon)
    (folder / "price" / "tls.crt").write_text(pem)
    make(folder)
    changed = {
        file.relative_to(folder).as_posix()
        for file in folder.rglob("*")
        if file.is_file()
        and file.read_bytes() != (secrets_folder / file.relative_to(folder)).read_bytes()
    }
    assert changed == {"price/tls.crt"}
    own = folder / "price"
    TlsFiles(own / "tls.crt", own / "tls.key", own / "ca.crt").read()
