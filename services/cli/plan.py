"""The plan of the system on one machine: which servers, on which addresses,
with which environment."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field, PlainValidator, SecretStr
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from services.cli import certificates, privacy
from services.cli.children import Health
from services.cli.early import GATEWAY, SERVICES
from shared.ports import is_free
from shared.service_tokens import Identity, ServiceTokens
from shared.tls_files import TlsFiles

# Of the plan as well, though they must be known before it is loaded.
__all__ = ["GATEWAY", "SERVICES"]

# Reason of a start that was refused for its settings; exit code 2.
BAD_SETTINGS = "BAD_SETTINGS"
SERVICES_FOLDER = Path(__file__).parents[1]

DATABASE_URL_HELP = "Postgres administrator's URL; without it the system brings its own Postgres"


def _names(value: object) -> object:
    return (
        [name.strip() for name in value.split(",") if name.strip()]
        if isinstance(value, str)
        else value
    )


_File = Annotated[Path | None, BeforeValidator(lambda text: text or None)]


class Plan(BaseSettings):
    """Settings of `sonic` itself; the services read the rest of the environment by themselves."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True)

    sonic_home: Annotated[Path, PlainValidator(lambda text: Path(text).expanduser())] = Path(
        ".sonic"
    )
    sonic_port_base: int = Field(50050, ge=1, le=65000)
    sonic_http_port: int = Field(8080, ge=0, le=65535)
    sonic_host: str = "127.0.0.1"
    sonic_metrics_port_base: int = Field(
        0,
        ge=0,
        le=65000,
        description="port of the gateway's metrics; those of the servers follow it as theirs do"
        " SONIC_PORT_BASE; 0: none is opened",
        examples=[9090],
    )
    database_url: SecretStr | None = Field(None, description=DATABASE_URL_HELP)
    tls_cert: _File = None
    tls_key: _File = None
    tls_ca: _File = None
    service_token_file: _File = None
    caller_hashes_file: _File = None
    sonic_pass_environment: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_names)] = Field(
        (),
        description="further variables that every server gets, those of a plug-in of yours",
        examples=["MY_CHECK_TOKEN"],
    )
    sonic_health_seconds: float = Field(
        10.0,
        ge=0,
        le=600,
        description="time between health checks of each process; 0: none is replaced",
    )
    sonic_health_patience: int = Field(
        3, ge=1, le=100, description="checks in a row without an answer until a process is replaced"
    )

    sonic_backup_hours: float = Field(
        24.0,
        ge=0,
        le=24 * 365,
        description="hours between backups that sonic up takes of its own database; 0: none",
    )
    sonic_backups_kept: int = Field(
        7, ge=1, le=1000, description="backups that stay in the folder; older ones are deleted"
    )
    sonic_backup_folder: Path | None = Field(
        None,
        description="folder of the backups; by default `backups` in SONIC_HOME",
        examples=["/mnt/other-disk/sonic"],
    )

    sonic_allow_newer_schema: bool = Field(
        False,
        description="1: tables that a later version made stay as they are, to go back one release",
    )

    @property
    def backup_folder(self) -> Path:
        """Where backups lie, absolute."""
        return (self.sonic_backup_folder or self.home / "backups").expanduser().absolute()

    @property
    def home(self) -> Path:
        """Where state is kept, absolute."""
        return self.sonic_home.absolute()

    @property
    def tls_folder(self) -> Path:
        """Where the certificates of a system on this machine are."""
        return self.home / "tls"

    @property
    def tls(self) -> TlsFiles | None:
        """The certificate of TLS_CERT, else the one `sonic up` made."""
        if self.tls_cert and self.tls_key and self.tls_ca:
            return TlsFiles(self.tls_cert, self.tls_key, self.tls_ca)
        return certificates.operators(self.tls_folder)

    @property
    def identity(self) -> Identity | None:
        """What commands show to servers: SERVICE_TOKEN_FILE, else a certificate."""
        if self.service_token_file and self.caller_hashes_file:
            return ServiceTokens(self.service_token_file, self.caller_hashes_file)
        return self.tls

    @property
    def health(self) -> Health:
        """When a process counts as hung."""
        return Health(self.sonic_health_seconds, self.sonic_health_patience)

    @property
    def addresses(self) -> dict[str, str]:
        """host:port of every gRPC server."""
        return {
            name: f"{self.sonic_host}:{self.sonic_port_base + offset}"
            for name, offset in SERVICES.items()
        }

    def metrics_words(self, name: str) -> dict[str, str]:
        """Where a server shows its metrics; nothing where the person decides."""
        base = self.sonic_metrics_port_base
        port = base + SERVICES.get(name, 0)
        return {"METRICS_ADDRESS": f"{self.sonic_host}:{port}"} if base else {}

    @property
    def http_address(self) -> str:
        """host:port of the gateway."""
        return f"{self.sonic_host}:{self.sonic_http_port}"


# What programs and libraries read for themselves, whatever server they run in.
_GENERAL_NAMES = frozenset(
    {
        *(
            "PATH",
            "HOME",
            "USER",
            "LOGNAME",
            "LANG",
            "LANGUAGE",
            "TZ",
            "TZDIR",
            "TMPDIR",
            "VIRTUAL_ENV",
        ),
        *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "LD_LIBRARY_PATH", "LD_PRELOAD"),
        *(
            "SSL_CERT_FILE",
            "SSL_CERT_DIR",
            "REQUESTS_CA_BUNDLE",
            "CURL_CA_BUNDLE",
            "SONIC_SECRETS_DIR",
        ),
        # A sound needs to know where its speakers are.
        *(
            "DISPLAY",
            "WAYLAND_DISPLAY",
            "XDG_RUNTIME_DIR",
            "PULSE_SERVER",
            "DBUS_SESSION_BUS_ADDRESS",
        ),
    }
)
_GENERAL_PREFIXES = ("LC_", "PYTHON", "GRPC_", "OTEL_", "MALLOC_", "OMP_", "OPENBLAS_", "COVERAGE_")
# What a Python program needs to find its modules, its languages and its clock: no secret.


def environment(
    name: str,
    listen_address: str,
    addresses: Mapping[str, str],
    urls: Mapping[str, str],
    home: Path,
    declared: Collection[str] | None = None,
    *,
    also: Collection[str] = (),
) -> dict[str, str]:
    """What one server of the system reads: its place, its peers, its database, the person's
    settings.

    Of the person's only what it `declared`, what any program reads and what is named in `also`: the
    secrets of the others are none of its business. None: in one process nothing can be kept apart.
    """
    own = {"LISTEN_ADDRESS": listen_address, "SONIC_HOME": str(home)}
    peers = {f"{peer.upper()}_ADDRESS": address for peer, address in addresses.items()}
    # The administrator's URL and the other services' passwords are nobody's business but `sonic`'s.
    secret = {"DATABASE_URL"} | {f"{other.upper()}_DATABASE_URL" for other in urls}
    # One port, and here are eight servers.
    secret.add("HEALTH_ADDRESS")
    # Here servers know each other by the certificates that are made for them.
    secret |= {"SERVICE_TOKEN_FILE", "CALLER_HASHES_FILE"}
    person = {
        key: value
        for key, value in os.environ.items()
        if key not in secret
        and (declared is None or key in declared or key in also or _is_general(key))
    }
    database = {f"{name.upper()}_DATABASE_URL": urls[name]} if name in urls else {}
    return person | peers | database | own


def _is_general(name: str) -> bool:
    return name.upper() in _GENERAL_NAMES or name.startswith(_GENERAL_PREFIXES)


def write_running(home: Path, addresses: Mapping[str, str], http_address: str) -> None:
    """Leave a note for `sonic status` and the others about where the system is."""
    note = {"pid": os.getpid(), "addresses": dict(addresses), "http_address": http_address}
    privacy.write(running_file(home), json.dumps(note, indent=1))


def taken_addresses(plan: Plan) -> list[str]:
    """Those of the plan's addresses that somebody else listens on."""
    shown = [
        address for name in (*SERVICES, GATEWAY) for address in plan.metrics_words(name).values()
    ]
    asked = (*plan.addresses.values(), plan.http_address, *shown)
    return [address for address in asked if not is_free(address)]


def running_file(home: Path) -> Path:
    """Where the note lies."""
    return home / "running.json"


def known_addresses(plan: Plan) -> dict[str, str]:
    """Where to look for the servers: <NAME>_ADDRESS, else the note of a running system, else the
    plan.
    """
    noted: dict[str, str] = {}
    with suppress(OSError, ValueError, KeyError):
        noted = json.loads(running_file(plan.home).read_text())["addresses"]
    explicit = "SONIC_PORT_BASE" in os.environ
    found = plan.addresses if explicit else plan.addresses | noted
    return {
        name: os.environ.get(f"{name.upper()}_ADDRESS", address) for name, address in found.items()
    }
