"""The image: its user, its packages, what it says of itself and of the server inside."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from shared.rpc import probe
from tests.unit.deploy.test_deploy import DEPLOY, DEPLOYED, ROOT, compose


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_what_reaches_the_builder_becomes_a_package_with_every_file_of_ours(
    tmp_path: Path,
) -> None:
    """The image's own step, on nothing but the files that the Dockerfile copies."""
    text = (DEPLOY / "Dockerfile").read_text()
    source, wheels = tmp_path / "source", tmp_path / "wheels"
    for name in copied(text):
        place = source / name
        place.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, place, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(ROOT / name, place)
    wheels.mkdir()
    build = (
        "import sys; from setuptools.build_meta import build_wheel; print(build_wheel(sys.argv[1]))"
    )
    subprocess.run(
        [sys.executable, "-c", build, str(wheels)], cwd=source, check=True, capture_output=True
    )
    [wheel] = wheels.iterdir()
    packed = set(zipfile.ZipFile(wheel).namelist())
    listed = subprocess.run(
        ["git", "ls-files", "services", "shared", "protos/stubs"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    ours = {name.removeprefix("protos/stubs/") for name in listed.stdout.splitlines()}
    assert len(ours) > 1000
    assert ours - packed == set(), "in the repository, and not in the image"
    strangers = {name for name in packed - ours if not name.startswith("sonic-")}
    assert strangers == set()


def copied(dockerfile: str) -> set[str]:
    """What the Dockerfile takes of the repository."""
    return {
        name
        for line in re.findall(r"^COPY (?!--from)(.+) \S+$", dockerfile, re.MULTILINE)
        for name in line.split()
    }


def test_the_image_ends_as_a_numbered_user_and_installs_by_hash() -> None:
    text = (DEPLOY / "Dockerfile").read_text()
    assert re.findall(r"^USER (.+)$", text, re.MULTILINE) == ["10001:10001"]
    assert "--require-hashes -r requirements.lock" in text
    assert "--no-deps --no-build-isolation" in text
    passed = set(
        re.findall(r"^!(.+)$", (DEPLOY / "Dockerfile.dockerignore").read_text(), re.MULTILINE)
    )
    assert copied(text) == passed
    assert all((ROOT / name).exists() for name in passed)


def test_the_image_says_what_it_is_and_whether_its_server_is_ready() -> None:
    text = (DEPLOY / "Dockerfile").read_text()
    labels = dict(re.findall(r'org\.opencontainers\.image\.(\w+)="([^"]+)"', text))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert labels["version"] == project["version"] and labels["licenses"] == project["license"]
    [command] = re.findall(r"^HEALTHCHECK .*CMD (\[.+\])$", text, re.MULTILINE)
    assert json.loads(command) == ["python", "-m", probe.__name__]
    # The port it asks at is there without a word of a person, and reached by nobody outside.
    assert "ENV HEALTH_ADDRESS=127.0.0.1:9091\n" in text
    assert all("healthcheck" not in compose()["services"][name] for name in DEPLOYED)


@pytest.mark.parametrize("builder", ["docker", "podman", "buildah"])
def test_the_image_is_built_by_whichever_builder_is_here(tmp_path: Path, builder: str) -> None:
    told, program = tmp_path / "told", tmp_path / builder
    program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {told}\n')
    program.chmod(0o755)
    platforms = "linux/amd64,linux/arm64"
    given = [f"BUILDER={program}", "IMAGE=there/sonic:1", f"PLATFORM={platforms}"]
    subprocess.run(["make", "-s", "image", *given], cwd=ROOT, check=True, timeout=60)
    words = told.read_text().splitlines()
    assert words[:3] == ["build", "--platform", platforms] and words[-1] == "."
    assert words[words.index("--file") + 1] == "deploy/Dockerfile"
    assert words[words.index("--tag") + 1] == "there/sonic:1"
    # Docker finds by its name what must not reach it; the others are told, and to keep HEALTHCHECK.
    assert ("--ignorefile" in words) is (builder != "docker")


def test_without_a_builder_it_is_said_which_there_are() -> None:
    done = subprocess.run(
        ["make", "-s", "image", "BUILDER="],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode != 0 and "buildah" in done.stderr


def test_the_makefile_names_the_image_by_the_version_of_the_project() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert f"IMAGE ?= sonic:{version}\n" in (ROOT / "Makefile").read_text()


def test_what_lists_the_packages_is_installed_by_hash() -> None:
    pins = (ROOT / "requirements-sbom.lock").read_text()
    assert re.search(r"^cyclonedx-bom==[\d.]+ \\\n    --hash=sha256:", pins, re.MULTILINE)
    assert "--require-hashes -r requirements-sbom.lock" in (ROOT / "Makefile").read_text()
