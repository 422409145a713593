"""Tokens of services as a deployment mounts them: `NAME/token` and `NAME/callers` in a folder."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from pathlib import Path

from shared.service_tokens import ServiceTokens


def files(folder: Path, name: str) -> ServiceTokens:
    """Where those of a name are."""
    return ServiceTokens(folder / name / "token", folder / name / "callers")


def variables(folder: Path, name: str) -> dict[str, str]:
    """What a server is told of them."""
    found = files(folder, name)
    return {"SERVICE_TOKEN_FILE": str(found.own), "CALLER_HASHES_FILE": str(found.callers)}


def make(folder: Path, names: Sequence[str]) -> None:
    """A token for each name; each knows all of them."""
    tokens = {name: secrets.token_hex(24) for name in names}
    known = "".join(
        f"{name} {hashlib.sha256(token.encode()).hexdigest()}\n" for name, token in tokens.items()
    )
    for name, token in tokens.items():
        (folder / name).mkdir(parents=True)
        (folder / name / "token").write_text(token)
        (folder / name / "callers").write_text(known)
