"""Holds deploy/ to the code: settings, ports, who reaches whom, what a container may do. Starts
none.
"""

from __future__ import annotations

import importlib
import re
import subprocess
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import yaml
from sonic.callers import CALLERS

from services.cli.plan import GATEWAY, SERVICES, Plan
from shared import config as configuration
from shared.rpc.health import LIVENESS
from tests.unit.deploy import kustomize
from tests.unit.deploy.kustomize import Document

ROOT = Path(__file__).resolve().parents[3]
DEPLOY = ROOT / "deploy"
K8S = DEPLOY / "k8s"
NAME = "app.kubernetes.io/name"
DEPLOYED = sorted(path.parent.name for path in (ROOT / "services").glob("*/server.py"))
WITH_DATABASE = [*SERVICES, "init", "backup"]


@cache
def documents(folder: str) -> tuple[Document, ...]:
    """The base, or an overlay as it is."""
    if folder == "base":
        return tuple(kustomize.build(K8S / "base", kustomize.kustomization(K8S / "base"), []))
    return tuple(kustomize.overlay(folder))


def everything() -> list[Document]:
    return [one for folder in ("small", "replicated") for one in documents(folder)]


def one(kind: str, name: str, folder: str = "base") -> Document:
    found = [
        doc for doc in documents(folder) if (doc["kind"], doc["metadata"]["name"]) == (kind, name)
    ]
    assert len(found) == 1, f"{kind} {name} in {folder}: {len(found)}"
    return found[0]


def pods() -> Iterator[tuple[str, Document]]:
    for document in everything():
        spec = document.get("spec", {})
        if document["kind"] in {"Deployment", "StatefulSet", "Job"}:
            yield document["metadata"]["name"], spec["template"]["spec"]
        if document["kind"] == "CronJob":
            yield document["metadata"]["name"], spec["jobTemplate"]["spec"]["template"]["spec"]


def container(service: str, folder: str = "base") -> Document:
    [found] = one("Deployment", service, folder)["spec"]["template"]["spec"]["containers"]
    return dict(found)


@cache
def compose() -> Document:
    return dict(yaml.safe_load((DEPLOY / "compose.yaml").read_text()))


def composed_environment(service: str) -> dict[str, str]:
    return dict(compose()["services"][service]["environment"])


def k8s_environment(service: str, folder: str = "small") -> dict[str, str]:
    return {word["name"]: word["value"] for word in container(service, folder)["env"]}


@cache
def config_class(service: str) -> type[configuration.ProcessConfig]:
    found: type[configuration.ProcessConfig] = importlib.import_module(
        f"services.{service}.server"
    ).Config
    return found


def variables(service: str) -> set[str]:
    kind = config_class(service)
    return {configuration.environment_name(kind, field) for field in kind.model_fields}


def port(service: str) -> int:
    plan = Plan.model_construct()
    return plan.sonic_http_port if service == GATEWAY else plan.sonic_port_base + SERVICES[service]


@cache
def drawn() -> frozenset[tuple[str, str]]:
    """The arrows of ARCHITECTURE.md between deployed servers; `sonic` itself runs in the gateway's
    pod.
    """
    arrows = re.findall(
        r"^\s*(\w+) --> (\w+)\s*$", (ROOT / "ARCHITECTURE.md").read_text(), re.MULTILINE
    )
    assert arrows
    return frozenset((caller, callee) for caller, callee in arrows if caller != "cli")


@cache
def ruled() -> frozenset[tuple[str, str]]:
    """Who may call whom by protos/callers.txt, of those that are deployed."""
    return frozenset(
        (caller, method.split(".")[1])
        for method, callers in CALLERS.items()
        if method.startswith("/sonic.")
        for caller in callers & set(DEPLOYED)
        if caller != method.split(".")[1]
    )


def named(peers: list[Document]) -> set[str]:
    return {peer["podSelector"]["matchLabels"][NAME] for peer in peers}


@pytest.fixture(scope="module")
def secrets_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("deploy") / "secrets"
    make = [str(DEPLOY / "make-secrets.sh"), str(folder)]
    subprocess.run(make, check=True, env={"PATH": "/usr/bin:/bin"})
    return folder


@pytest.fixture(scope="module")
def cluster_secrets_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("deploy") / "secrets"
    make = [str(DEPLOY / "make-secrets.sh"), str(folder)]
    subprocess.run(make, check=True, env={"PATH": "/usr/bin:/bin", "TLS": "apart"})
    return folder


def test_what_has_a_server_is_what_is_deployed() -> None:
    assert set(DEPLOYED) == {*SERVICES, GATEWAY}
    assert set(compose()["services"]) == {*DEPLOYED, "postgres", "init"}
    assert {
        doc["metadata"]["name"] for doc in documents("base") if doc["kind"] == "Deployment"
    } == set(DEPLOYED)


@pytest.mark.parametrize("service", DEPLOYED)
def test_a_server_is_started_as_itself(service: str) -> None:
    command = ["python", "-m", f"services.{service}.server"]
    assert compose()["services"][service]["command"] == command
    assert container(service)["args"] == command


@pytest.mark.parametrize("service", DEPLOYED)
def test_every_variable_is_a_setting_of_its_service(service: str) -> None:
    known = variables(service) | {"SONIC_SECRETS_DIR"}
    assert set(composed_environment(service)) <= known
    assert set(k8s_environment(service)) <= known


@pytest.mark.parametrize("service", DEPLOYED)
def test_what_a_person_sets_reaches_every_server_and_none_needs_it(service: str) -> None:
    wanted = [{"configMapRef": {"name": "settings", "optional": True}}]
    for overlay in ("small", "replicated"):
        assert container(service, overlay)["envFrom"] == wanted
    assert compose()["services"][service]["env_file"] == [
        {"path": "settings.env", "required": False}
    ]


def test_the_example_of_settings_names_settings() -> None:
    names = set(
        re.findall(r"^#?([A-Z_]+)=", (DEPLOY / "settings.example.env").read_text(), re.MULTILINE)
    )
    assert names
    assert names <= set().union(*(variables(service) for service in DEPLOYED))


@pytest.mark.parametrize("service", DEPLOYED)
def test_a_server_listens_where_the_plan_says(service: str) -> None:
    listen = f"0.0.0.0:{port(service)}"
    assert composed_environment(service)["LISTEN_ADDRESS"] == listen
    assert k8s_environment(service)["LISTEN_ADDRESS"] == listen
    # Without certificates policies alone say who may connect; the gateway has its own words.
    wanted = None if service == GATEWAY else "1"
    assert k8s_environment(service, "base").get("ALLOW_INSECURE_LISTEN") == wanted
    assert "ALLOW_INSECURE_LISTEN" not in composed_environment(service) | k8s_environment(service)
    assert port(service) in {found["containerPort"] for found in container(service)["ports"]}
    assert [found["port"] for found in one("Service", service)["spec"]["ports"]] == [port(service)]


@pytest.mark.parametrize("service", SERVICES)
def test_a_kubelet_asks_at_the_port_of_health(service: str) -> None:
    asked = container(service)
    health = int(k8s_environment(service)["HEALTH_ADDRESS"].rpartition(":")[2])
    assert health in {found["containerPort"] for found in asked["ports"]}
    assert asked["readinessProbe"]["grpc"] == {"port": health}
    # A restart cures no database: the process alone is asked for.
    for kind in ("livenessProbe", "startupProbe"):
        assert asked[kind]["grpc"] == {"port": health, "service": LIVENESS}
    # No other pod is let in there.
    assert all(
        {"port": health} not in rule.get("ports", [])
        for document in everything()
        if document["kind"] == "NetworkPolicy"
        for rule in document["spec"].get("ingress", [])
    )


@pytest.mark.parametrize("service", DEPLOYED)
def test_a_server_is_told_the_addresses_of_whom_it_calls_and_of_nobody_else(service: str) -> None:
    wanted = {
        f"{callee.upper()}_ADDRESS": f"{callee}:{port(callee)}"
        for caller, callee in drawn()
        if caller == service
    }
    for environment in (composed_environment(service), k8s_environment(service)):
        own = {"LISTEN_ADDRESS", "METRICS_ADDRESS", "HEALTH_ADDRESS"}
        told = {
            name: text
            for name, text in environment.items()
            if name.endswith("_ADDRESS") and name not in own
        }
        assert told == wanted


@pytest.mark.parametrize("service", DEPLOYED)
def test_a_server_is_reached_by_its_callers_only(service: str) -> None:
    policy = one("NetworkPolicy", service)["spec"]
    assert policy["podSelector"] == {"matchLabels": {NAME: service}}
    assert set(policy["policyTypes"]) == {"Ingress", "Egress"}
    inward, outward = policy.get("ingress", []), policy.get("egress", [])
    callers = set().union(*(named(rule["from"]) for rule in inward))
    callees = set().union(*(named(rule["to"]) for rule in outward))
    assert callers == {caller for caller, callee in drawn() if callee == service}
    assert callees == {callee for caller, callee in drawn() if caller == service}
    called = {(caller, callee) for caller, callee in ruled() if service in {caller, callee}}
    assert called == {(one, service) for one in callers} | {(service, one) for one in callees}
    assert all(rule["ports"] == [{"port": port(service)}] for rule in inward)
    assert all(
        rule["ports"] == [{"port": port(callee)} for callee in named(rule["to"])]
        for rule in outward
    )


def test_whatever_no_policy_allows_is_denied() -> None:
    assert one("NetworkPolicy", "deny-by-default")["spec"] == {
        "podSelector": {},
        "policyTypes": ["Ingress", "Egress"],
    }
    general = {"deny-by-default", "names", "metrics", "providers", "mail"}
    policies = {
        doc["metadata"]["name"] for doc in documents("base") if doc["kind"] == "NetworkPolicy"
    }
    assert policies == general | set(DEPLOYED)


@pytest.mark.parametrize("overlay", ["small", "replicated"])
def test_only_who_has_a_role_reaches_the_database(overlay: str) -> None:
    policy = one("NetworkPolicy", "database", overlay)["spec"]
    [chosen] = policy["podSelector"]["matchExpressions"]
    assert set(chosen["values"]) == set(WITH_DATABASE)
    assert GATEWAY not in chosen["values"]


def test_the_gateway_is_published_on_loopback_only_and_nothing_else_is() -> None:
    published = {
        name: service["ports"]
        for name, service in compose()["services"].items()
        if "ports" in service
    }
    assert published == {GATEWAY: [f"127.0.0.1:{port(GATEWAY)}:{port(GATEWAY)}"]}
    assert {
        doc["spec"].get("type", "ClusterIP") for doc in everything() if doc["kind"] == "Service"
    } == {"ClusterIP"}


def test_servers_without_business_outside_have_no_way_out() -> None:
    networks = compose()["networks"]
    closed = {name for name, network in networks.items() if network.get("internal")}
    outgoing = {
        name for name, service in compose()["services"].items() if set(service["networks"]) - closed
    }
    providers = one("NetworkPolicy", "providers")["spec"]["podSelector"]["matchExpressions"][0][
        "values"
    ]
    assert outgoing == {*providers, GATEWAY}


def test_no_pod_may_more_than_the_restricted_standard() -> None:
    found = list(pods())
    assert found
    for name, pod in found:
        assert pod["automountServiceAccountToken"] is False, name
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        assert pod["securityContext"]["runAsUser"] > 0, name
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        for inside in pod["containers"]:
            assert inside["resources"]["limits"]["memory"], name
            assert inside["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }, name


def test_no_composed_container_runs_as_root_or_writes_its_image() -> None:
    for name, service in compose()["services"].items():
        assert int(service["user"].partition(":")[0]) > 0, name
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name


def test_every_image_has_a_fixed_tag_and_ours_the_version_of_the_project() -> None:
    images = {inside["image"] for _, pod in pods() for inside in pod["containers"]}
    images |= {service["image"] for service in compose()["services"].values()}
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert images == {f"sonic:{version}", "postgres:18"}


def test_no_secret_stands_in_a_file_of_the_repository() -> None:
    secret = re.compile(
        r"://[^/\s:]+:[^@\s.$]+@|(?i:password|secret|api_key|ledger_key)\s*[=:]\s*[\"']?[A-Za-z0-9]{8,}"
    )
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "deploy"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert listed.stdout
    assert not [
        name for name in listed.stdout.splitlines() if secret.search((ROOT / name).read_text())
    ]
    assert not [file for file in K8S.rglob("*.yaml") if "kind: Secret\n" in file.read_text()]


@pytest.mark.slow
def test_made_secrets_are_the_ones_the_cluster_is_given(cluster_secrets_folder: Path) -> None:
    made = {
        str(file.relative_to(cluster_secrets_folder))
        for file in cluster_secrets_folder.rglob("*")
        if file.is_file()
    }
    generators, given = [], set()
    for folder in ("", "postgres", "tls"):
        listed = kustomize.kustomization(K8S / "secrets" / folder)["secretGenerator"]
        generators += listed
        given |= {str(Path(folder) / file) for one in listed for file in one["files"]}
    # The authority's key and the operator's certificate are a person's, not the cluster's.
    persons = {name for name in made if name.startswith(("tls/authority/", "tls/operator/"))}
    assert given == made - persons and len(persons) == 5
    mounted = {
        volume["secret"]["secretName"]: volume["secret"].get("optional", False)
        for _, pod in pods()
        for volume in pod["volumes"]
        if "secret" in volume
    }
    # Tokens are made by people, when they want any.
    assert mounted.pop("gateway")
    assert mounted == {generator["name"]: False for generator in generators}


@pytest.mark.slow
def test_secrets_are_made_once_and_closed_to_others(secrets_folder: Path) -> None:
    def kept() -> dict[Path, str]:
        return {file: file.read_text() for file in secrets_folder.rglob("*") if file.is_file()}

    before = kept()
    subprocess.run([str(DEPLOY / "make-secrets.sh"), str(secrets_folder)], check=True)
    assert kept() == before
    assert secrets_folder.stat().st_mode & 0o777 == 0o700
    # Each password is there twice, the authority's certificate in every folder.
    texts = [text for file, text in before.items() if file.name != "ca.crt"]
    assert len(set(texts)) == len(texts) - len(SERVICES)


@pytest.mark.parametrize("service", DEPLOYED)
def test_a_server_can_read_its_configuration_in_either_deployment(
    service: str, secrets_folder: Path
) -> None:
    mount = {"SONIC_SECRETS_DIR": str(secrets_folder / service)}

    def here(environment: dict[str, str]) -> dict[str, str]:
        """The mounted folder where it is on this machine."""
        own = f"{secrets_folder / service}/"
        tls = {k: v for k, v in environment.items() if k.startswith("TLS_")}
        return environment | {k: own + Path(v).name for k, v in tls.items()}

    for environment in (
        composed_environment(service),
        k8s_environment(service),
        k8s_environment(service, "base"),
    ):
        has_secrets = "SONIC_SECRETS_DIR" in environment
        assert has_secrets == (service in SERVICES)
        loaded = configuration.load(
            config_class(service), here(environment) | (mount if has_secrets else {})
        )
        if has_secrets:
            url = loaded.model_dump()["database_url"].get_secret_value()
            assert re.fullmatch(rf"postgresql://{service}:\w+@postgres:5432/sonic", url)


def test_the_ledger_key_comes_from_a_secret_not_from_a_container_that_goes(
    secrets_folder: Path,
) -> None:
    environment = k8s_environment("alerts", "base") | {
        "SONIC_SECRETS_DIR": str(secrets_folder / "alerts")
    }
    loaded = configuration.load(config_class("alerts"), environment)
    assert len(loaded.model_dump()["alerts_ledger_key"].get_secret_value()) >= 64


@pytest.mark.parametrize("name", [*SERVICES, "init", "postgres"])
def test_each_container_sees_its_own_folder_of_secrets_only(name: str) -> None:
    [bound] = [
        volume for volume in compose()["services"][name]["volumes"] if volume["type"] == "bind"
    ]
    assert (bound["source"], bound["target"], bound["read_only"]) == (
        f"./secrets/{name}",
        "/run/secrets",
        True,
    )
    assert bound["bind"] == {"create_host_path": False}
