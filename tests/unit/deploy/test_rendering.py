"""Every overlay with its components on and off: built, strict against the schemas, the same as
kubectl builds; two releases, one after the other.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml

from services.cli.plan import GATEWAY, SERVICES
from tests.unit.deploy import kustomize, schemas
from tests.unit.deploy.kustomize import K8S, KEYS, Document, components, identity, overlays

pytestmark = pytest.mark.slow

DEPLOY = K8S.parent
SECRETS = "../../secrets/tls"
TOKENS = "../../secrets/identity"
# `exposed` is part of `route` and `ingress`, of which there is one; `mesh` is there for `tls`.
ALL = tuple(name for name in components() if name not in {"exposed", "ingress", "mesh"})
PLAIN = tuple(name for name in ALL if name not in {"cert-manager", "tls"})
CHOICES: dict[str, dict[str, tuple[str, ...]]] = {
    "as it is": {},
    "without tls": {"without": ("tls", SECRETS)},
    # A cluster makes its own certificates then.
    "cert-manager": {"more": ("cert-manager",), "without": (SECRETS,)},
    "mesh": {"more": ("mesh", TOKENS), "without": ("tls", SECRETS)},
    "everything with mesh": {
        "more": (*(name for name in ALL if name not in {"tls", "cert-manager"}), "mesh", TOKENS),
        "without": ("tls", SECRETS),
    },
    "cnpg": {"more": ("cnpg", "../../secrets/cnpg")},
    "nothing": {"without": (*components(), SECRETS)},
    "everything": {"more": ALL, "without": (SECRETS,)},
    "with ingress": {"more": ("ingress",)},
    **{f"with {name}": {"more": (name,)} for name in PLAIN},
    **{f"with {one}, {other}": {"more": (one, other)} for one, other in combinations(PLAIN, 2)},
}


@pytest.mark.parametrize("overlay", overlays())
@pytest.mark.parametrize("choice", CHOICES)
def test_whatever_is_chosen_fits_the_schemas(overlay: str, choice: str) -> None:
    found = kustomize.overlay(overlay, **CHOICES[choice])
    wrong = {
        f"{kind} {name}": said
        for one in found
        for kind, name in [identity(one)]
        if (said := schemas.problems(without_notes(one)))
    }
    assert not wrong


def without_notes(document: Document) -> Document:
    """As it is applied: the renderer notes at a Secret whether kubectl adds a hash."""
    if document["kind"] != "Secret":
        return document
    return document | {"metadata": {"name": document["metadata"]["name"]}}


def test_the_schemas_find_what_is_wrong() -> None:
    found = kustomize.overlay("small", **CHOICES["everything"])
    for kind, break_ in BROKEN.items():
        one = yaml.safe_load(yaml.safe_dump(next(x for x in found if x["kind"] == kind)))
        assert not schemas.problems(one)
        break_(one["spec"])
        assert schemas.problems(one), kind


BROKEN: dict[str, Any] = {
    "Deployment": lambda spec: spec["template"]["spec"].update(priorityClasName="sonic"),
    "CronJob": lambda spec: spec.update(schedule=3),
    "PodDisruptionBudget": lambda spec: spec.update(maxUnavailabel=1),
    "HorizontalPodAutoscaler": lambda spec: spec.pop("maxReplicas"),
    "Certificate": lambda spec: spec.update(dnsName="price"),
    "Issuer": lambda spec: spec.update(ca={"secretName": "x"}, selfSigned={}),
    "PodMonitor": lambda spec: spec["podMetricsEndpoints"][0].update(interval="15"),
    "PrometheusRule": lambda spec: spec["groups"][0]["rules"][0].update(alert="X"),
    "Cluster": lambda spec: spec["postgresql"]["parameters"].update(max_connections=200),
    "ScheduledBackup": lambda spec: spec.update(schedule="41 2 * * *"),
    "HTTPRoute": lambda spec: spec["rules"][0]["backendRefs"][0].pop("port"),
}


COMPARED = ["as it is", "without tls", "mesh", "cnpg", "nothing", "everything"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """deploy/k8s with secrets made for it, as a person has it."""
    made = tmp_path_factory.mktemp("k8s") / "k8s"
    shutil.copytree(K8S, made)
    for words in ({"TLS": "apart"}, {"TLS": "tokens"}, {"TLS": "0", "POSTGRES": "cnpg"}):
        subprocess.run(
            [str(DEPLOY / "make-secrets.sh"), str(made / "secrets")],
            check=True,
            env={"PATH": "/usr/bin:/bin", **words},
        )
    return made


@pytest.mark.skipif(
    shutil.which("kubectl") is None, reason="no kubectl here: rendering not compared"
)
@pytest.mark.parametrize("overlay", overlays())
@pytest.mark.parametrize(
    "choice", ["as it is", "without tls", "mesh", "cnpg", "nothing", "everything"]
)
def test_kubectl_builds_the_same(folder: Path, overlay: str, choice: str) -> None:
    own = kustomize.changed(kustomize.kustomization(K8S / "overlays" / overlay), **both(choice))
    chosen = folder / "overlays" / "chosen"
    shutil.rmtree(chosen, ignore_errors=True)
    shutil.copytree(folder / "overlays" / overlay, chosen)
    (chosen / "kustomization.yaml").write_text(yaml.safe_dump(own))
    built = subprocess.run(
        ["kubectl", "kustomize", str(chosen)], check=True, capture_output=True, text=True
    ).stdout
    theirs = {identity(one): plain(one) for one in map(unhashed, yaml.safe_load_all(built))}
    ours = {
        identity(one): plain(unhashed(one)) for one in kustomize.overlay(overlay, **CHOICES[choice])
    }
    assert theirs.keys() == ours.keys()
    for name, one in ours.items():
        assert theirs[name] == one, name


def both(choice: str) -> dict[str, tuple[str, ...]]:
    return {"more": (), "without": ()} | CHOICES[choice]


HASH = re.compile(r"-[a-z0-9]{10}$")


def unhashed(document: Document) -> Document:
    """Names of generated Secrets without what their content adds, and no content."""
    if document["kind"] == "Secret":
        name = HASH.sub("", document["metadata"]["name"])
        keys = dict.fromkeys(document["data"], "")
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": document["type"],
            "metadata": {"name": name},
            "data": keys,
        }
    for volume in pod_of(document).get("volumes", []):
        if "secret" in volume:
            volume["secret"]["secretName"] = HASH.sub("", volume["secret"]["secretName"])
    return document


def pod_of(document: Document) -> Document:
    template = document.get("spec", {}).get("template") or document.get("spec", {}).get(
        "jobTemplate", {}
    ).get("spec", {}).get("template", {})
    return dict(template.get("spec", {}))


def plain(value: Any) -> Any:
    """Lists of named things in one order: kustomize keeps another than we do, and it means
    nothing.
    """
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        items = [plain(item) for item in value]
        key = next(
            (k for k in KEYS if items and all(isinstance(x, dict) and k in x for x in items)), ""
        )
        return sorted(items, key=lambda item: str(item[key])) if key else items
    return value


# What an API server lets nobody change in what is there already.
FIXED = {
    "Deployment": ("selector",),
    "StatefulSet": ("selector", "serviceName", "volumeClaimTemplates"),
    "Job": ("template", "selector"),
    "Service": ("clusterIP",),
    "PersistentVolumeClaim": ("accessModes", "storageClassName"),
}


def of_release(overlay: str, image: str) -> dict[tuple[str, str], Document]:
    """As after `kustomize edit set image`; the name of the Job is made last, as kustomize does."""
    folder = K8S / "overlays" / overlay
    own = kustomize.kustomization(folder)
    replacements = own.pop("replacements")
    found = kustomize.build(folder, own, [])
    for one in found:
        for inside in pod_of(one).get("containers", []):
            inside["image"] = re.sub(r"^sonic:.*", image, inside["image"])
    return {
        identity(one): one for one in kustomize.build(folder, {"replacements": replacements}, found)
    }


@pytest.mark.parametrize("overlay", overlays())
def test_the_next_release_can_be_applied_over_this_one(overlay: str) -> None:
    before = of_release(overlay, "localhost:5001/sonic:0.2.0")
    after = of_release(overlay, "localhost:5001/sonic:0.3.0")
    assert before.keys() - after.keys() == {("Job", "init-0.2.0")}
    assert after.keys() - before.keys() == {("Job", "init-0.3.0")}
    for name in before.keys() & after.keys():
        for field in FIXED.get(name[0], ()):
            assert before[name]["spec"].get(field) == after[name]["spec"].get(field), (name, field)
    changed = {name for name in before.keys() & after.keys() if before[name] != after[name]}
    assert {name for kind, name in changed if kind == "Deployment"} == {*SERVICES, GATEWAY}
    # What nobody changed is the same: applied twice, nothing happens.
    assert of_release(overlay, "localhost:5001/sonic:0.2.0") == before


@pytest.mark.parametrize("overlay", overlays())
def test_a_new_password_leaves_the_job_as_it_is(overlay: str) -> None:
    found = {identity(one): one for one in kustomize.overlay(overlay)}
    assert found["Secret", "init"]["metadata"]["annotations"]["hashed"] == "False"
    # A server's own starts it anew; a certificate starts nothing.
    assert found["Secret", "price"]["metadata"]["annotations"]["hashed"] == "True"
    assert found["Secret", "price-tls"]["metadata"]["annotations"]["hashed"] == "False"
