"""What each component of deploy/k8s is for: certificates, two machines, people, backups."""

from __future__ import annotations

import importlib
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from services.cli.plan import GATEWAY, SERVICES
from shared import config as configuration
from shared.service_tokens import KnownCallers, ServiceTokens, ShownToken, callers_of
from tests.unit.deploy import kustomize, monitoring
from tests.unit.deploy.kustomize import Document, identity, overlays

DEPLOYED = (*SERVICES, GATEWAY)
NAME = "app.kubernetes.io/name"


def built(overlay: str, *more: str, without: tuple[str, ...] = ()) -> dict[Any, Document]:
    found = kustomize.overlay(overlay, more=more, without=without)
    return {identity(one): one for one in found}


def pod(documents: dict[Any, Document], name: str) -> Document:
    return dict(documents["Deployment", name]["spec"]["template"]["spec"])


def environment(documents: dict[Any, Document], name: str) -> dict[str, str]:
    [container] = pod(documents, name)["containers"]
    return {one["name"]: one["value"] for one in container["env"]}


def gateways_config() -> Any:
    return importlib.import_module("services.gateway.server").Config


@pytest.mark.parametrize("overlay", overlays())
@pytest.mark.parametrize("name", DEPLOYED)
def test_certificates_are_the_default_and_are_files_that_may_change(
    overlay: str, name: str
) -> None:
    documents = built(overlay)
    words = environment(documents, name)
    volumes = {one["name"]: one for one in pod(documents, name)["volumes"]}
    assert volumes["tls"]["secret"]["secretName"] == f"{name}-tls"
    [mount] = [
        one for one in pod(documents, name)["containers"][0]["volumeMounts"] if one["name"] == "tls"
    ]
    # A file mounted by `subPath` never changes.
    assert mount == {"name": "tls", "mountPath": "/run/tls", "readOnly": True}
    keys = set(documents["Secret", f"{name}-tls"]["data"])
    told = {words[f"TLS_{one}"] for one in ("CERT", "KEY", "CA")}
    assert told == {f"/run/tls/{key}" for key in keys}
    without = built(overlay, without=("tls", "../../secrets/tls"))
    assert not [one for one in environment(without, name) if one.startswith("TLS_")]


@pytest.mark.parametrize("overlay", overlays())
@pytest.mark.parametrize("name", DEPLOYED)
def test_in_a_mesh_tokens_take_the_place_of_certificates(
    overlay: str, name: str, mesh_secrets: Path
) -> None:
    documents = built(
        overlay, "mesh", "../../secrets/identity", without=("tls", "../../secrets/tls")
    )
    words = environment(documents, name)
    assert not {one for one in words if one.startswith("TLS_") or one == "ALLOW_INSECURE_LISTEN"}
    volumes = {one["name"]: one for one in pod(documents, name)["volumes"]}
    assert volumes["identity"]["secret"]["secretName"] == f"{name}-identity"
    mounts = pod(documents, name)["containers"][0]["volumeMounts"]
    [mount] = [one for one in mounts if one["name"] == "identity"]
    assert mount == {"name": "identity", "mountPath": "/run/identity", "readOnly": True}
    assert set(documents["Secret", f"{name}-identity"]["data"]) == {"token", "callers"}
    own = ServiceTokens(*(mesh_secrets / name / file for file in ("token", "callers")))
    told = {words["SERVICE_TOKEN_FILE"], words["CALLER_HASHES_FILE"]}
    assert told == {f"/run/identity/{file}" for file in ("token", "callers")}
    # What the script made is what a server takes: it knows itself, and whoever is listed.
    header = ShownToken(own.own).header()[1]
    assert KnownCallers(own.callers).caller(header) == name
    assert {caller for _, caller in callers_of(own.callers)} == {*DEPLOYED, "operator"}


def test_a_token_that_comes_next_is_known_before_it_is_shown(mesh_secrets: Path) -> None:
    (mesh_secrets / "cyclone" / "token.next").write_text("n" * 48 + "\n")
    make_tokens(mesh_secrets.parent)
    known = KnownCallers(mesh_secrets / "price" / "callers")
    now = ShownToken(mesh_secrets / "cyclone" / "token").header()[1]
    assert {known.caller(one) for one in (now, "Bearer " + "n" * 48)} == {"cyclone"}


@pytest.fixture(scope="module")
def made_tokens(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tokens") / "secrets"
    make_tokens(folder)
    return folder


@pytest.fixture
def mesh_secrets(made_tokens: Path, tmp_path: Path) -> Path:
    """A copy: tests add to them."""
    shutil.copytree(made_tokens, tmp_path / "secrets")
    return tmp_path / "secrets" / "identity"


def make_tokens(folder: Path) -> None:
    make_secrets(folder, TLS="tokens")


def make_secrets(folder: Path, **words: str) -> None:
    make = [str(kustomize.K8S.parent / "make-secrets.sh"), str(folder)]
    subprocess.run(make, check=True, env={"PATH": "/usr/bin:/bin", **words})


@pytest.mark.parametrize("overlay", overlays())
def test_cert_manager_makes_the_same_secrets(overlay: str) -> None:
    documents = built(overlay, "cert-manager", without=("../../secrets/tls",))
    made = {
        one["spec"]["secretName"]: one["spec"]
        for (kind, _), one in documents.items()
        if kind == "Certificate" and not one["spec"].get("isCA")
    }
    assert set(made) == {f"{name}-tls" for name in (*DEPLOYED, "operator")}
    for secret, spec in made.items():
        # One name that is a single word, beside that of the machine: shared/rpc/access.py.
        assert spec["dnsNames"] == [secret.removesuffix("-tls"), "localhost"]
        assert documents["Issuer", spec["issuerRef"]["name"]]["spec"] == {
            "ca": {"secretName": "sonic-authority"}
        }
    assert not [name for kind, name in documents if kind == "Secret" and name.endswith("-tls")]


@pytest.mark.parametrize("overlay", overlays())
@pytest.mark.parametrize("name", DEPLOYED)
def test_two_of_a_server_are_on_two_machines(overlay: str, name: str) -> None:
    template = built(overlay)["Deployment", name]["spec"]["template"]
    machines, zones = template["spec"]["topologySpreadConstraints"]
    assert (machines["topologyKey"], machines["whenUnsatisfiable"]) == (
        "kubernetes.io/hostname",
        "DoNotSchedule",
    )
    assert zones["whenUnsatisfiable"] == "ScheduleAnyway"
    for one in (machines, zones):
        # Counted among those of the same server and the same release: the keys are labels it has.
        assert one["labelSelector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
        assert one["matchLabelKeys"] == [NAME, "pod-template-hash"]
        assert NAME in template["metadata"]["labels"]


def test_each_server_has_a_budget_of_its_own() -> None:
    documents = built("replicated")
    budgets = {
        name: one["spec"]
        for (kind, name), one in documents.items()
        if kind == "PodDisruptionBudget"
    }
    assert budgets == {
        name: {"maxUnavailable": 1, "selector": {"matchLabels": {NAME: name}}} for name in DEPLOYED
    }
    assert {documents["Deployment", name]["spec"]["replicas"] for name in DEPLOYED} == {2}


@pytest.mark.parametrize("overlay", overlays())
def test_callers_know_every_replica(overlay: str) -> None:
    documents = built(overlay)
    assert {documents["Service", name]["spec"].get("clusterIP") for name in SERVICES} == {"None"}
    accounts = {pod(documents, name)["serviceAccountName"] for name in DEPLOYED}
    assert accounts == set(DEPLOYED)
    assert all(
        documents["ServiceAccount", name]["automountServiceAccountToken"] is False
        for name in DEPLOYED
    )


@pytest.mark.parametrize("overlay", overlays())
@pytest.mark.parametrize("way", ["route", "ingress"])
def test_who_comes_from_outside_is_asked_also_before_there_is_a_token(
    overlay: str, way: str, capsys: pytest.CaptureFixture[str]
) -> None:
    documents = built(overlay, way, without=("tls", "../../secrets/tls"))
    words = environment(documents, GATEWAY)
    config = configuration.load(gateways_config(), words)
    assert not config.is_open and config.tokens_at is not None
    [secrets] = [one for one in pod(documents, GATEWAY)["volumes"] if one["name"] == "secrets"]
    assert secrets["secret"] == {
        "secretName": "gateway",
        "optional": False,
        "defaultMode": secrets["secret"]["defaultMode"],
    }
    # Whoever takes the tokens out again is told what to do.
    with pytest.raises(SystemExit) as refused:
        configuration.load(
            gateways_config(), {k: v for k, v in words.items() if k != "TOKENS_FILE"}
        )
    assert refused.value.code == 2
    assert "name TOKENS_FILE and make a token" in capsys.readouterr().err
    hosts = hosts_of(documents, way)
    assert words["GATEWAY_HOSTS"].split(",") == hosts
    [rule] = documents["NetworkPolicy", "people"]["spec"]["ingress"]
    assert rule["ports"] == [{"port": 8080}]


def hosts_of(documents: dict[Any, Document], way: str) -> list[str]:
    if way == "route":
        return list(documents["HTTPRoute", "sonic"]["spec"]["hostnames"])
    return [one["host"] for one in documents["Ingress", "sonic"]["spec"]["rules"]]


@pytest.mark.parametrize("overlay", overlays())
def test_without_a_way_in_nobody_reaches_the_gateway(overlay: str) -> None:
    documents = built(overlay)
    assert "ingress" not in documents["NetworkPolicy", GATEWAY]["spec"]
    assert not {kind for kind, _ in documents} & {"HTTPRoute", "Ingress"}
    opened = [
        name
        for (kind, name), one in documents.items()
        if kind == "NetworkPolicy"
        for rule in one["spec"].get("ingress", [])
        if {"port": 8080} in rule["ports"]
    ]
    assert not opened


def test_the_scaler_alone_says_how_many_gateways() -> None:
    documents = built("replicated", "scale")
    target = documents["HorizontalPodAutoscaler", GATEWAY]["spec"]
    assert target["scaleTargetRef"]["name"] == GATEWAY
    assert "replicas" not in documents["Deployment", GATEWAY]["spec"]
    assert documents["Deployment", "price"]["spec"]["replicas"] == 2


@pytest.mark.parametrize("overlay", overlays())
def test_a_backup_reaches_the_database_and_keeps_its_files(overlay: str) -> None:
    documents = built(overlay, "backup")
    job = documents["CronJob", "backup"]["spec"]["jobTemplate"]["spec"]["template"]
    [container] = job["spec"]["containers"]
    words = {one["name"]: one["value"] for one in container["env"]}
    assert container["args"] == ["sonic", "backup"]
    kept = {one["mountPath"]: one["name"] for one in container["volumeMounts"]}
    volumes = {one["name"]: one for one in job["spec"]["volumes"]}
    claim = volumes[kept[words["SONIC_BACKUP_FOLDER"]]]["persistentVolumeClaim"]["claimName"]
    assert ("PersistentVolumeClaim", claim) in documents
    assert volumes[kept[words["SONIC_SECRETS_DIR"]]]["secret"]["secretName"] == "init"
    [who] = documents["NetworkPolicy", "database"]["spec"]["podSelector"]["matchExpressions"]
    assert job["metadata"]["labels"][NAME] in who["values"]


def test_rules_and_dashboard_are_those_of_the_files() -> None:
    assert {path: path.read_text() for path in monitoring.files()} == monitoring.files()
    documents = built("replicated", "monitoring")
    rule, dashboard = (
        documents["PrometheusRule", "sonic"],
        documents["ConfigMap", "sonic-dashboard"],
    )
    assert rule["spec"] == yaml.safe_load(monitoring.RULES.read_text())
    assert json.loads(dashboard["data"]["sonic.json"]) == json.loads(
        monitoring.DASHBOARD.read_text()
    )


def test_a_postgres_of_cnpg_is_reached_by_who_has_a_role_and_by_its_operator(
    tmp_path: Path,
) -> None:
    documents = built("replicated", "cnpg", "../../secrets/cnpg")
    cluster = documents["Cluster", "sonic-postgres"]
    secret = documents["Secret", cluster["spec"]["superuserSecret"]["name"]]
    assert set(secret["data"]) == {"username", "password"}
    policy = documents["NetworkPolicy", "sonic-postgres"]["spec"]
    own = {"matchLabels": {"cnpg.io/cluster": "sonic-postgres"}}
    assert policy["podSelector"] == own
    roles, others = policy["ingress"]
    [who] = roles["from"][0]["podSelector"]["matchExpressions"]
    assert set(who["values"]) == {*SERVICES, "init", "backup"}
    assert others["from"][0] == {"podSelector": own}
    way = documents["NetworkPolicy", "database-in-cluster"]["spec"]
    assert way["podSelector"]["matchExpressions"] == [who]
    assert way["egress"] == [{"to": [{"podSelector": own}], "ports": [{"port": 5432}]}]
    backup = documents["ScheduledBackup", "sonic-postgres"]["spec"]
    assert backup["cluster"]["name"] == "sonic-postgres"
    assert backup["method"] in cluster["spec"]["backup"]
    # The script's address is the operator's Service of that cluster, as its superuser.
    make_secrets(tmp_path, POSTGRES="cnpg", TLS="0")
    password = (tmp_path / "cnpg" / "password").read_text()
    assert (tmp_path / "init" / "database_url").read_text() == (
        f"postgresql://postgres:{password}@sonic-postgres-rw:5432/sonic"
    )
    assert (tmp_path / "cnpg" / "username").read_text() == "postgres"


def test_what_prometheus_asks_is_what_the_pods_have() -> None:
    documents = built("replicated", "monitoring", "backup")
    spec = documents["PodMonitor", "sonic"]["spec"]
    [endpoint] = spec["podMetricsEndpoints"]
    chosen = [
        identity(one)
        for one in documents.values()
        if one["kind"] in {"Deployment", "Job"}
        and is_chosen(one["spec"]["template"]["metadata"]["labels"], spec["selector"])
    ]
    assert {name for _, name in chosen} == set(DEPLOYED)
    for name in DEPLOYED:
        [container] = pod(documents, name)["containers"]
        ports = {one["name"]: one["containerPort"] for one in container["ports"]}
        assert environment(documents, name)["METRICS_ADDRESS"].endswith(
            f":{ports[endpoint['port']]}"
        )


def is_chosen(labels: dict[str, str], selector: Document) -> bool:
    return all(
        (labels.get(one["key"]) in one["values"]) is (one["operator"] == "In")
        for one in selector["matchExpressions"]
    )


def test_every_pod_may_be_given_the_priority() -> None:
    documents = built("small", "priority")
    assert ("PriorityClass", "sonic") in documents
    assert {pod(documents, name)["priorityClassName"] for name in DEPLOYED} == {"sonic"}
