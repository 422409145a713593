"""A running system after five cycles, as whoever scrapes it after each of them sees it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from shared import metrics
from tests.e2e.world import Held

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "observability.md"
RULES = ROOT / "deploy" / "prometheus" / "rules.yaml"
DASHBOARD = ROOT / "deploy" / "grafana" / "dashboard.json"
# The libraries' own, and those of the withdrawals' page.
_OTHERS = ("process_", "python_", "wo_")
Labels = tuple[tuple[str, str], ...]


@dataclass
class Scrapes:
    """Values of every series, one a scrape; None where it was absent."""

    kinds: dict[str, str] = field(default_factory=dict)
    helps: dict[str, str] = field(default_factory=dict)
    labels: dict[str, set[str]] = field(default_factory=dict)
    values: dict[tuple[str, Labels], list[float | None]] = field(default_factory=dict)
    count: int = 0

    async def take(self) -> None:
        """One more."""
        shown = metrics.process()
        await shown.refresh()
        self.read(generate_latest(shown.registry).decode())

    def read(self, text: str) -> None:
        """One more, as text."""
        for family in text_string_to_metric_families(text):
            is_counter = family.type == "counter"
            name = f"{family.name}_total" if is_counter else family.name
            if family.name.endswith("_created"):
                continue
            if not name.startswith(_OTHERS):
                self.kinds[name], self.helps[name] = family.type, family.documentation
            self.labels.setdefault(name, set())
            for sample in family.samples:
                key = sample.name, tuple(sorted(sample.labels.items()))
                known = self.values.setdefault(key, [])
                known += [None] * (self.count - len(known)) + [sample.value]
                self.labels[name] |= set(sample.labels) - {"le"}
        self.count += 1

    def series(self, names: Iterable[str]) -> list[dict[str, str]]:
        """These series as promtool takes them."""
        wanted = set(names)
        return [
            {"series": f"{name}{_braces(labels)}", "values": self._written(values)}
            for (name, labels), values in self.values.items()
            if name in wanted
        ]

    def _written(self, values: list[float | None]) -> str:
        padded = values + [None] * (self.count - len(values))
        return " ".join("_" if value is None else f"{value:.17g}" for value in padded)


def documented() -> Mapping[str, tuple[str, set[str], str]]:
    """Kind, labels and meaning of every series of the page."""
    rows = re.findall(
        r"^\| `(\w+)` \| (\w+) \| ([\w, ]*?) ?\| [^|]+ \| (.+) \|$", PAGE.read_text(), re.MULTILINE
    )
    return {
        name: (kind, {label for label in labels.split(", ") if label}, meaning)
        for name, kind, labels, meaning in rows
    }


def _braces(labels: Labels) -> str:
    written = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels)
    return f"{{{written}}}" if written else ""


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def held(key: str) -> Held:
    """A SOL long whose liquidation is at 80."""
    return Held(key, "SOL", "long", 100.0, 1000.0, 202.7, 80.0)


def panel_queries() -> list[str]:
    """Every query of the dashboard, with a window of five minutes."""
    board = json.loads(DASHBOARD.read_text())
    return [
        target["expr"].replace("$__rate_interval", "5m")
        for panel in board["panels"]
        for target in panel.get("targets", ())
    ]


def rule_expressions() -> dict[str, str]:
    """Of every rule, by its name."""
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return {
        rule.get("alert") or rule["record"]: rule["expr"]
        for group in groups
        for rule in group["rules"]
    }


def rule_selectors() -> list[str]:
    """Every series that a rule looks at; without its labels, of which bad values are rare."""
    found = {name for one in rule_expressions().values() for name in names_in(one)}
    # What Prometheus itself makes of a scrape, and what is recorded.
    return sorted(name for name in found if name != "up" and ":" not in name)


def names_in(text: str) -> set[str]:
    """Series that an expression names."""
    pattern = r"(?<![\w:])(?:sonic_\w+|sonic:[\w:]+|(?:rpc|http)_(?:server|client)_\w+|process_\w+)"
    return set(re.findall(pattern, text))


def promtool(*words: str) -> None:
    """Runs it, and fails with what it says; where it is not, the test is counted as not run."""
    program = shutil.which("promtool")
    if program is None:
        pytest.skip("NOT RUN: promtool is not installed, rules and dashboard are not tried")
    done = subprocess.run([program, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
