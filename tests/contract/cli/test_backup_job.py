"""The CronJob of deploy/k8s/components/backup, run as its pod would run it."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from services.cli.backup.archive import read_manifest
from shared.backup_files import backups_in
from tests.fakes.databases import Databases
from tests.unit.deploy import kustomize

ROOT = Path(__file__).resolve().parents[3]
KEPT_NAMES = ("PATH", "HOME", "LANG", "TMPDIR")


@pytest.mark.slow
async def test_the_nightly_job_saves_the_database_that_its_secret_names(
    databases: Databases, tmp_path: Path
) -> None:
    [job] = [one for one in kustomize.overlay("small") if one["kind"] == "CronJob"]
    [container] = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    # Its mounts are folders here; whatever else it would write has no place.
    here = {mount["mountPath"]: tmp_path / mount["name"] for mount in container["volumeMounts"]}
    for folder in here.values():
        folder.mkdir()
    given = {one["name"]: placed(one["value"], here) for one in container["env"]}
    (here["/run/secrets"] / "database_url").write_text(databases.admin_url)
    plain = {name: os.environ[name] for name in KEPT_NAMES if name in os.environ}
    command, *arguments = container["args"]
    assert command == "sonic"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services.cli.main", *arguments),
        env=plain | given | {"PYTHONPATH": f"{ROOT}:{ROOT / 'protos' / 'stubs'}"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()
    [file] = backups_in(here["/backups"])
    assert read_manifest(file).revisions.keys() >= {"alerts", "positions"}


def placed(value: str, here: dict[str, Path]) -> str:
    for mounted, folder in here.items():
        if value == mounted or value.startswith(f"{mounted}/"):
            return str(folder) + value.removeprefix(mounted)
    return value
