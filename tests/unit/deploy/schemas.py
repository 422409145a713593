"""Strict schemas of Kubernetes, and of the custom resources used here a check of their fields by
hand: their own schemas are in no package.
"""

from __future__ import annotations

import json
import re
from functools import cache
from importlib.resources import files
from typing import Any

import jsonschema_rs

Document = dict[str, Any]

# The oldest that deploy/README.md promises, and one that is newer than any in use.
VERSIONS = ("1.30", "1.36")

# Group and version, and the fields that must and may be in `spec`.
_CUSTOM = {
    "Certificate": (
        "cert-manager.io/v1",
        {"secretName", "issuerRef"},
        {
            *("isCA", "commonName", "duration", "renewBefore", "privateKey"),
            *("dnsNames", "ipAddresses", "usages"),
        },
    ),
    "Issuer": ("cert-manager.io/v1", set(), {"selfSigned", "ca"}),
    "PodMonitor": (
        "monitoring.coreos.com/v1",
        {"selector", "podMetricsEndpoints"},
        {"podTargetLabels"},
    ),
    "PrometheusRule": ("monitoring.coreos.com/v1", {"groups"}, set()),
    "Cluster": (
        "postgresql.cnpg.io/v1",
        {"instances", "storage"},
        {
            *("enableSuperuserAccess", "superuserSecret", "bootstrap", "postgresql"),
            *("resources", "affinity", "backup", "imageName", "walStorage", "monitoring"),
        },
    ),
    "ScheduledBackup": (
        "postgresql.cnpg.io/v1",
        {"cluster", "schedule"},
        {"backupOwnerReference", "immediate", "method", "online", "suspend", "target"},
    ),
    "HTTPRoute": (
        "gateway.networking.k8s.io/v1",
        {"parentRefs", "rules"},
        {"hostnames"},
    ),
}


def problems(document: Document) -> list[str]:
    """What its schema says against it; every version and field is looked at."""
    if document["kind"] in _CUSTOM:
        return _of_custom(document)
    return list(_against_schemas(json.dumps(document, sort_keys=True)))


# Most of what is built is built again in the next choice.
@cache
def _against_schemas(text: str) -> tuple[str, ...]:
    document = json.loads(text)
    return tuple(
        f"{version}: {'.'.join(map(str, error.instance_path))}: {error.message[:200]}"
        for version in VERSIONS
        for error in _validator(document["apiVersion"], document["kind"], version).iter_errors(
            document
        )
    )


@cache
def _validator(api_version: str, kind: str, version: str) -> Any:
    group = re.sub(r"^([^./]*)(?:\.[^/]*)?/", r"\1-", api_version)
    schema = json.loads((_schemas(version) / f"{kind.lower()}-{group}.json").read_text())
    return jsonschema_rs.validator_for(schema, registry=_registry(version))


def _schemas(version: str) -> Any:
    folder = files("kubernetes_validate") / "kubernetes-json-schema"
    return folder / f"v{version}.0-local-strict"


@cache
def _registry(version: str) -> Any:
    definitions = json.loads((_schemas(version) / "_definitions.json").read_text())
    return jsonschema_rs.Registry([(definitions["$id"], definitions)])


def _of_custom(document: Document) -> list[str]:
    api_version, must, may = _CUSTOM[document["kind"]]
    spec = document["spec"]
    found = []
    if document["apiVersion"] != api_version:
        found.append(f"it is {api_version}, not {document['apiVersion']}")
    found += [f"spec.{name} is missing" for name in sorted(must - set(spec))]
    found += [f"spec.{name} is not known" for name in sorted(set(spec) - must - may)]
    return found + _BY_HAND[document["kind"]](spec)


def _certificate(spec: Document) -> list[str]:
    duration, before = (int(spec[name].removesuffix("h")) for name in ("duration", "renewBefore"))
    wrong = []
    if not duration > before > 0:
        wrong.append("it is renewed before it is made")
    if set(spec["issuerRef"]) != {"group", "kind", "name"}:
        wrong.append("issuerRef has group, kind and name")
    if not spec.get("isCA") and not spec.get("dnsNames"):
        wrong.append("it names nobody")
    known = {"signing", "digital signature", "key encipherment", "server auth", "client auth"}
    wrong += [f"usage {one}" for one in spec.get("usages", []) if one not in known]
    key = spec["privateKey"]
    if (key["algorithm"], key["size"]) not in {("ECDSA", 256), ("ECDSA", 384)}:
        wrong.append("privateKey")
    if key.get("rotationPolicy", "Never") not in {"Never", "Always"}:
        wrong.append("privateKey.rotationPolicy")
    return wrong


def _issuer(spec: Document) -> list[str]:
    if len(spec) != 1:
        return ["an issuer is of one kind"]
    return [] if spec.get("ca", {"secretName": ""}).keys() == {"secretName"} else ["ca.secretName"]


def _pod_monitor(spec: Document) -> list[str]:
    known = {"port", "path", "interval"}
    return [
        f"podMetricsEndpoints: {one}"
        for one in spec["podMetricsEndpoints"]
        if set(one) - known or "port" not in one or not re.fullmatch(r"\d+s", one["interval"])
    ] + [name for name in spec["selector"] if name not in {"matchLabels", "matchExpressions"}]


def _rules(spec: Document) -> list[str]:
    wrong = [
        f"group {group.get('name')}"
        for group in spec["groups"]
        if set(group) - {"name", "interval", "rules"} or not {"name", "rules"} <= set(group)
    ]
    for rule in (rule for group in spec["groups"] for rule in group["rules"]):
        may = {"expr", "labels"} | (
            {"alert", "for", "keep_firing_for", "annotations"} if "alert" in rule else {"record"}
        )
        if set(rule) - may or "expr" not in rule or len({"alert", "record"} & set(rule)) != 1:
            wrong.append(f"rule {rule.get('alert') or rule.get('record')}")
    return wrong


def _cluster(spec: Document) -> list[str]:
    wrong = [] if spec["instances"] >= 1 else ["instances"]
    if not re.fullmatch(r"\d+[GT]i", spec["storage"].get("size", "")):
        wrong.append("storage.size")
    initdb = spec.get("bootstrap", {}).get("initdb", {})
    wrong += [f"bootstrap.initdb.{name}" for name in set(initdb) - {"database", "owner", "secret"}]
    parameters = spec.get("postgresql", {}).get("parameters", {})
    # Numbers would be refused: they are strings there.
    wrong += [name for name, value in parameters.items() if not isinstance(value, str)]
    affinity = spec.get("affinity", {})
    known = {"enablePodAntiAffinity", "podAntiAffinityType", "topologyKey"}
    wrong += [f"affinity.{name}" for name in set(affinity) - known]
    if affinity.get("podAntiAffinityType", "required") not in {"required", "preferred"}:
        wrong.append("affinity.podAntiAffinityType")
    if spec.get("superuserSecret", {"name": ""}).keys() != {"name"}:
        wrong.append("superuserSecret")
    backup = spec.get("backup", {})
    wrong += [f"backup.{name}" for name in set(backup) - {"volumeSnapshot", "target"}]
    snapshot = backup.get("volumeSnapshot", {})
    known = {"className", "walClassName", "online", "snapshotOwnerReference", "labels"}
    wrong += [f"backup.volumeSnapshot.{name}" for name in set(snapshot) - known]
    if snapshot.get("snapshotOwnerReference", "none") not in {"none", "cluster", "backup"}:
        wrong.append("backup.volumeSnapshot.snapshotOwnerReference")
    return wrong


def _scheduled_backup(spec: Document) -> list[str]:
    wrong = [] if spec["cluster"].keys() == {"name"} else ["cluster"]
    # Six fields: this schedule has seconds.
    if len(spec["schedule"].split()) != 6:
        wrong.append("schedule")
    if spec.get("method") not in {None, "barmanObjectStore", "volumeSnapshot", "plugin"}:
        wrong.append("method")
    if spec.get("backupOwnerReference", "none") not in {"none", "self", "cluster"}:
        wrong.append("backupOwnerReference")
    return wrong


def _route(spec: Document) -> list[str]:
    wrong = [
        f"parentRefs: {one}"
        for one in spec["parentRefs"]
        if "name" not in one or set(one) - {"name", "namespace", "sectionName"}
    ]
    for rule in spec["rules"]:
        wrong += [name for name in rule if name not in {"matches", "backendRefs"}]
        for match in rule["matches"]:
            if match["path"]["type"] not in {"PathPrefix", "Exact"}:
                wrong.append("path.type")
        wrong += [f"backend {one}" for one in rule["backendRefs"] if set(one) != {"name", "port"}]
    return wrong


_BY_HAND = {
    "Certificate": _certificate,
    "Issuer": _issuer,
    "PodMonitor": _pod_monitor,
    "PrometheusRule": _rules,
    "Cluster": _cluster,
    "ScheduledBackup": _scheduled_backup,
    "HTTPRoute": _route,
}
