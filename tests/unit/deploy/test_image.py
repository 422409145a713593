"""The image: its user, its packages, what it says of itself and of the server inside."""

from __future__ import annotations

import json
import re
import tomllib

from shared.rpc import probe
from tests.unit.deploy.test_deploy import DEPLOY, DEPLOYED, ROOT, compose


def test_the_image_ends_as_a_numbered_user_and_installs_by_hash() -> None:
    text = (DEPLOY / "Dockerfile").read_text()
    assert re.findall(r"^USER (.+)$", text, re.MULTILINE) == ["10001:10001"]
    assert "--require-hashes -r requirements.lock" in text
    assert "--no-deps --no-build-isolation" in text
    copied = {
        name
        for line in re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.MULTILINE)
        for name in line.split()
    }
    passed = set(
        re.findall(r"^!(.+)$", (DEPLOY / "Dockerfile.dockerignore").read_text(), re.MULTILINE)
    )
    assert copied == passed
    assert all((ROOT / name).exists() for name in copied)


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


def test_what_lists_the_packages_is_installed_by_hash() -> None:
    pins = (ROOT / "requirements-sbom.lock").read_text()
    assert re.search(r"^cyclonedx-bom==[\d.]+ \\\n    --hash=sha256:", pins, re.MULTILINE)
    assert "--require-hashes -r requirements-sbom.lock" in (ROOT / "Makefile").read_text()
