"""What `kubectl kustomize` would build of deploy/k8s, as far as these files use it: resources,
components, strategic patches, replacements, a namespace, names of generated secrets without their
hash. test_rendering.py holds it to the real one where that is installed.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import yaml

Document = dict[str, Any]

K8S = Path(__file__).resolve().parents[3] / "deploy" / "k8s"
# Lists of Kubernetes that are merged by a key of their items when a patch is laid over them.
KEYS = ("mountPath", "containerPort", "name")
_CLUSTER_WIDE = {"Namespace", "PriorityClass"}
_KNOWN = {
    *("apiVersion", "kind", "namespace", "resources", "components", "patches"),
    *("replacements", "secretGenerator", "generatorOptions"),
}


@cache
def overlays() -> tuple[str, ...]:
    return tuple(sorted(path.name for path in (K8S / "overlays").iterdir()))


@cache
def components() -> tuple[str, ...]:
    return tuple(sorted(path.name for path in (K8S / "components").iterdir()))


@cache
def _parsed(path: Path) -> tuple[Document, ...]:
    return tuple(one for one in yaml.safe_load_all(path.read_text()) if one)


def kustomization(folder: Path) -> Document:
    [found] = copy.deepcopy(_parsed(folder / "kustomization.yaml"))
    assert set(found) <= _KNOWN, f"{folder}: this renderer knows no {set(found) - _KNOWN}"
    return dict(found)


def overlay(name: str, *, more: Iterable[str] = (), without: Iterable[str] = ()) -> list[Document]:
    """An overlay, with further components (`mesh`) or resources (`../../secrets/identity`), and
    without some of its own.
    """
    folder = K8S / "overlays" / name
    own = changed(kustomization(folder), more, without)
    return build(folder, own, [])


def changed(own: Document, more: Iterable[str], without: Iterable[str]) -> Document:
    """A kustomization as a person would edit it."""
    left = {*without, *(f"../../components/{name}" for name in without)}
    for key in ("resources", "components"):
        own[key] = [one for one in own.get(key, []) if one not in left]
    had = set(own["components"])
    own["resources"] += [name for name in more if name.startswith("../")]
    parts = [f"../../components/{name}" for name in more if not name.startswith("../")]
    own["components"] += [part for part in parts if part not in had]
    return own


def build(folder: Path, own: Document, below: list[Document]) -> list[Document]:
    found = list(below)
    for name in own.get("resources", []):
        found += _resource(folder / name)
    found += [_secret(one, own) for one in own.get("secretGenerator", [])]
    for name in own.get("components", []):
        path = (folder / name).resolve()
        found = build(path, kustomization(path), found)
    for patch in own.get("patches", []):
        found = _patched(found, patch, folder)
    for replacement in own.get("replacements", []):
        _replace(found, replacement)
    if space := own.get("namespace"):
        for one in found:
            if one["kind"] not in _CLUSTER_WIDE:
                one["metadata"]["namespace"] = space
    names = [identity(one) for one in found]
    assert len(names) == len(set(names)), f"{folder}: something is there twice"
    return found


def identity(document: Document) -> tuple[str, str]:
    return document["kind"], document["metadata"]["name"]


def _resource(path: Path) -> list[Document]:
    if path.is_dir():
        path = path.resolve()
        return build(path, kustomization(path), [])
    return list(copy.deepcopy(_parsed(path)))


def _secret(generator: Document, own: Document) -> Document:
    keys = {Path(name).name: "" for name in generator["files"]}
    options = own.get("generatorOptions", {}) | generator.get("options", {})
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": generator["name"],
            "annotations": {"hashed": str(not options.get("disableNameSuffixHash"))},
        },
        "type": generator.get("type", "Opaque"),
        "data": keys,
    }


def _patched(found: list[Document], patch: Document, folder: Path) -> list[Document]:
    above = (
        yaml.safe_load(patch["patch"]) if "patch" in patch else _parsed(folder / patch["path"])[0]
    )
    target = patch.get("target", {"kind": above["kind"], "name": f"^{above['metadata']['name']}$"})
    body = {key: value for key, value in above.items() if key not in {"apiVersion", "kind"}}
    # A target names whom it is for; the name in the patch says nothing then.
    body["metadata"] = {k: v for k, v in body["metadata"].items() if k != "name"}
    hits = [one for one in found if _is_meant(one, target)]
    assert hits or target.get("kind") != "Deployment", f"{folder}: {patch} meets nothing"
    return [merged(one, body) if one in hits else one for one in found]


def _is_meant(document: Document, target: Document) -> bool:
    key, _, wanted = target.get("labelSelector", "").partition("=")
    return (
        document["kind"] == target["kind"]
        and re.fullmatch(target.get("name", ".*"), document["metadata"]["name"]) is not None
        and (not key or document["metadata"].get("labels", {}).get(key) == wanted)
    )


def merged(below: Any, above: Any) -> Any:
    """A strategic merge."""
    if isinstance(below, dict) and isinstance(above, dict):
        both = dict(below)
        for key, value in above.items():
            if value is None:
                both.pop(key, None)
            else:
                both[key] = merged(below[key], value) if key in below else copy.deepcopy(value)
        return both
    if isinstance(below, list) and isinstance(above, list):
        everything = below + above
        key = next((k for k in KEYS if all(isinstance(x, dict) and k in x for x in everything)), "")
        if key:
            items = {item[key]: item for item in below}
            for item in above:
                if item.get("$patch") == "delete":
                    items.pop(item[key], None)
                else:
                    items[item[key]] = merged(items.get(item[key], {}), item)
            return list(items.values())
    return copy.deepcopy(above)


def _replace(found: list[Document], replacement: Document) -> None:
    source = replacement["source"]
    [origin] = [one for one in found if identity(one) == (source["kind"], source["name"])]
    options = source["options"]
    value = str(_at(origin, source["fieldPath"])).split(options["delimiter"])[options["index"]]
    for target in replacement["targets"]:
        select, options = target["select"], target["options"]
        for one in found:
            if identity(one) != (select["kind"], select["name"]):
                continue
            for path in target["fieldPaths"]:
                parent, _, leaf = path.rpartition(".")
                pieces = str(_at(one, path)).split(options["delimiter"])
                pieces[options["index"]] = value
                _at(one, parent)[leaf] = options["delimiter"].join(pieces)


def _at(document: Any, path: str) -> Any:
    for piece in path.split("."):
        document = document[int(piece)] if piece.isdecimal() else document[piece]
    return document
