"""Writes the rules and the dashboard as the component `monitoring` holds them: kustomize reads no
file outside its folder. `make monitoring`; test_components.py holds them equal.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

DEPLOY = Path(__file__).resolve().parents[3] / "deploy"
RULES = DEPLOY / "prometheus" / "rules.yaml"
DASHBOARD = DEPLOY / "grafana" / "dashboard.json"
COMPONENT = DEPLOY / "k8s" / "components" / "monitoring"
_MADE = "# Made by `make monitoring`; edit {} instead.\n"


class _Literal(str):
    """Text that stays readable."""

    __slots__ = ()


def _literal(dumper: yaml.SafeDumper, text: _Literal) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|")


yaml.SafeDumper.add_representer(_Literal, _literal)


def rule() -> dict[str, Any]:
    """For the Prometheus operator."""
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "sonic"},
        "spec": yaml.safe_load(RULES.read_text()),
    }


def dashboard() -> dict[str, Any]:
    """For a Grafana that looks for this label, as its charts set it up."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "sonic-dashboard", "labels": {"grafana_dashboard": "1"}},
        "data": {"sonic.json": _Literal(DASHBOARD.read_text())},
    }


def files() -> dict[Path, str]:
    """What stands where."""
    return {
        COMPONENT / "rules.yaml": _MADE.format("deploy/prometheus/rules.yaml")
        + yaml.safe_dump(rule(), sort_keys=False, width=120),
        COMPONENT / "dashboard.yaml": _MADE.format("deploy/grafana/dashboard.json")
        + yaml.safe_dump(dashboard(), sort_keys=False, width=120),
    }


if __name__ == "__main__":
    for path, text in files().items():
        path.write_text(text)
