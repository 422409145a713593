"""Configuration from the environment and mounted files, read once."""

import json
import os
import sys
import types
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, ClassVar, Literal, NoReturn, TypeVar, Union, get_args, get_origin
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from shared.loopback import is_local
from shared.service_tokens import Identity, ServiceTokens, callers_of, token_of
from shared.tls_files import TlsFiles

C = TypeVar("C", bound="ProcessConfig")
_SECRETS_DIR = "SONIC_SECRETS_DIR"


def _http_address(value: str) -> str:
    address = urlsplit(value)
    if address.scheme not in {"http", "https"} or not address.hostname:
        raise ValueError("no http or https address")
    return value


def _websocket_address(value: str) -> str:
    address = urlsplit(value)
    if value and (address.scheme not in {"ws", "wss"} or not address.hostname):
        raise ValueError("no ws or wss address")
    return value


# The address of a provider's stream.
WebsocketAddress = Annotated[str, AfterValidator(_websocket_address)]
# The base address of a provider.
HttpAddress = Annotated[
    str, AfterValidator(_http_address), Field(description="scheme, host and optional path prefix")
]


class ProcessConfig(BaseSettings):
    """What every process has. Built directly it takes its arguments only; `load` reads the
    environment.

    A subclass adds fields (`peer_address: str` is read from PEER_ADDRESS) and its `service` name.
    """

    model_config = SettingsConfigDict(extra="forbid", frozen=True)
    service: ClassVar[str] = ""

    listen_address: str = Field(description="host:port to serve on", examples=["127.0.0.1:50051"])
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_json: bool = True
    log_file: str | None = Field(
        default=None,
        description="where log lines go, 10 MB and four older files; empty: standard error",
    )
    metrics_address: str | None = Field(
        default=None, description="host:port of /metrics, empty for none"
    )
    shutdown_grace_seconds: float = Field(
        default=8.0, gt=0, le=600, description="time to finish calls at the end"
    )
    tls_cert: Path | None = Field(
        default=None,
        description="PEM file of this process's certificate; its name is in the DNS names",
        examples=["/run/tls/tls.crt"],
    )
    tls_key: Path | None = Field(
        default=None, description="PEM file of its key", examples=["/run/tls/tls.key"]
    )
    tls_ca: Path | None = Field(
        default=None,
        validate_default=True,
        description="PEM file of the authority of everybody's certificates",
        examples=["/run/tls/ca.crt"],
    )
    service_token_file: Path | None = Field(
        default=None,
        description="file of the token by which the others know this process where a mesh ends TLS"
        " before it",
        examples=["/run/identity/token"],
    )
    caller_hashes_file: Path | None = Field(
        default=None,
        validate_default=True,
        description="file of whom this process knows: lines of a name and the SHA-256 of its token",
        examples=["/run/identity/callers"],
    )
    sonic_parent_pid: int | None = Field(
        default=None, gt=0, description="process that started this one and whose end ends it"
    )

    @field_validator("listen_address", "metrics_address", "health_address", check_fields=False)
    @classmethod
    def _is_address(cls, value: str | None) -> str | None:
        if value and not value.startswith("unix:"):
            _, _, port = value.rpartition(":")
            if not port.isdecimal() or int(port) > 65535 or ":" not in value:
                raise ValueError("not host:port")
        return value

    @field_validator(
        *("tls_cert", "tls_key", "tls_ca", "service_token_file", "caller_hashes_file"),
        mode="before",
    )
    @classmethod
    def _empty_is_none(cls, value: object) -> object:
        return None if value == "" else value

    @field_validator("tls_cert", "tls_key", "tls_ca")
    @classmethod
    def _is_file(cls, value: Path | None) -> Path | None:
        if value is not None and not value.is_file():
            raise ValueError(f"there is no file {value}")
        return value

    @field_validator("tls_ca")
    @classmethod
    def _are_three_or_none(cls, value: Path | None, others: ValidationInfo) -> Path | None:
        given = [others.data.get("tls_cert"), others.data.get("tls_key"), value]
        if any(given) and not all(given):
            raise ValueError("TLS_CERT, TLS_KEY and TLS_CA belong together: set all or none")
        return value

    @field_validator("service_token_file")
    @classmethod
    def _is_token(cls, value: Path | None) -> Path | None:
        if value is not None:
            _readable(token_of, value)
        return value

    @field_validator("caller_hashes_file")
    @classmethod
    def _are_callers(cls, value: Path | None, others: ValidationInfo) -> Path | None:
        if value is not None:
            _readable(callers_of, value)
        if (value is None) is not (others.data.get("service_token_file") is None):
            raise ValueError(
                "SERVICE_TOKEN_FILE and CALLER_HASHES_FILE belong together: set both or none"
            )
        if value is not None and others.data.get("tls_ca"):
            raise ValueError(
                "who calls is known by certificates or by tokens, not by both: take out TLS_CERT,"
                " TLS_KEY and TLS_CA, or SERVICE_TOKEN_FILE and CALLER_HASHES_FILE"
            )
        return value

    @property
    def identity(self) -> Identity | None:
        """By what this process is known to others, and knows them; None: nobody is asked."""
        if self.service_token_file is None or self.caller_hashes_file is None:
            return self.tls
        return ServiceTokens(self.service_token_file, self.caller_hashes_file)

    @property
    def tls(self) -> TlsFiles | None:
        """Its certificate, when it has one."""
        if self.tls_cert is None or self.tls_key is None or self.tls_ca is None:
            return None
        return TlsFiles(self.tls_cert, self.tls_key, self.tls_ca)

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        # Several services share one process: only `load`, which knows whose environment it is,
        # reads one.
        return (init_settings,)


class ServiceConfig(ProcessConfig):
    """A service with a database: `<SERVICE>_DATABASE_URL`."""

    database_url: SecretStr = Field(
        description="Postgres URL of the service's own role",
        examples=["postgresql://name:password@host/sonic"],
    )
    health_address: str = Field(
        default="",
        description="host:port where health alone is answered, without TLS, for the probes of"
        " Kubernetes; empty: nowhere",
        examples=["0.0.0.0:9091"],
    )
    channelz: bool = Field(
        default=False, description="1: the server shows its connections by channelz"
    )
    allow_insecure_listen: bool = Field(
        default=False,
        validate_default=True,
        description="1 where a network policy says who may connect",
        examples=["1"],
    )

    @field_validator("allow_insecure_listen")
    @classmethod
    def _is_not_open_to_everybody(cls, allowed: bool, others: ValidationInfo) -> bool:
        listen = str(others.data.get("listen_address", ""))
        knows = others.data.get("tls_ca") or others.data.get("caller_hashes_file")
        if allowed or not listen or is_local(listen) or knows:
            return allowed
        raise ValueError(
            f"LISTEN_ADDRESS {listen} can be reached by others, and without TLS_CERT, TLS_KEY and "
            "TLS_CA a service asks nobody who they are: set them (where a mesh ends TLS, "
            "SERVICE_TOKEN_FILE and CALLER_HASHES_FILE), listen on 127.0.0.1 or on a unix: socket, "
            "or say that the network keeps others away"
        )


def _readable(read: Callable[[Path], object], path: Path) -> None:
    try:
        read(path)
    except OSError as error:
        raise ValueError(f"{path} cannot be read ({type(error).__name__})") from error


def environment_name(config_class: type[ProcessConfig], field: str) -> str:
    if field == "database_url" and config_class.service:
        return f"{config_class.service}_DATABASE_URL".upper().replace("-", "_")
    return field.upper()


def load(config_class: type[C], environ: Mapping[str, str] | None = None) -> C:
    """The configuration, or every problem with its fix on standard error and SystemExit(2)."""
    words = os.environ if environ is None else environ
    problems: dict[str, str] = {}
    values: dict[str, object] = {}
    for name, field in config_class.model_fields.items():
        variable = environment_name(config_class, name)
        try:
            text = word(variable, words)
            if text is not None:
                values[name] = _shaped(text, field)
        except (OSError, ValueError) as error:
            problems[name] = f"cannot be read ({type(error).__name__})"
    try:
        config = config_class.model_validate(values)
    except ValidationError as error:
        _leave(config_class, {**_problems(error), **problems})
    if problems:
        _leave(config_class, problems)
    return config


def word(variable: str, environ: Mapping[str, str]) -> str | None:
    """The environment wins over a mounted file named as the variable, in upper or lower case."""
    if variable in environ:
        return environ[variable].strip()
    folder = environ.get(_SECRETS_DIR)
    for name in (variable, variable.lower()) if folder else ():
        path = Path(str(folder)) / name
        if path.is_file():
            return path.read_text(encoding="utf-8").strip()
    return None


def _shaped(text: str, field: FieldInfo) -> object:
    """Lists are written `a,b,c` or as JSON, mappings as JSON; the rest is for pydantic to read."""
    kind = _kind(field.annotation)
    if kind in (list, tuple, set, frozenset) and not text.startswith("["):
        return [part.strip() for part in text.split(",") if part.strip()]
    if kind in (list, tuple, set, frozenset, dict):
        return json.loads(text)
    return text


def _kind(annotation: object) -> object:
    origin = get_origin(annotation)
    if origin in (Union, types.UnionType):
        kinds = [_kind(part) for part in get_args(annotation) if part is not type(None)]
        return kinds[0] if len(kinds) == 1 else None
    return origin or annotation


def _problems(error: ValidationError) -> dict[str, str]:
    # Only pydantic's sentence: the value itself may be a secret.
    return {
        str(problem["loc"][0]) if problem["loc"] else "": (
            "is missing" if problem["type"] == "missing" else problem["msg"]
        )
        for problem in error.errors(include_input=False, include_url=False, include_context=False)
    }


def _leave(config_class: type[ProcessConfig], problems: Mapping[str, str]) -> NoReturn:
    for name, problem in problems.items():
        field = config_class.model_fields.get(name)
        variable = environment_name(config_class, name) if name else config_class.__name__
        sys.stderr.write(f"{variable}: {problem}. {_fix(variable, field)}\n")
    raise SystemExit(2)


def _fix(variable: str, field: FieldInfo | None) -> str:
    if field is None:
        return "Correct the variables named above."
    meaning = f" ({field.description})" if field.description else ""
    example = f", for example {variable}={field.examples[0]}" if field.examples else ""
    return f"Set {variable}{meaning} in the environment or as a file in {_SECRETS_DIR}{example}."
