"""Rules and dashboard: each is tried, names what there is, and leads to what to do."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.observed import (
    DASHBOARD,
    ROOT,
    RULES,
    documented,
    names_in,
    panel_queries,
    promtool,
    rule_expressions,
)

_FOLDER = RULES.parent
_TESTS = sorted(_FOLDER.glob("rules*.test.yaml"))
# Of the scraper, and of histograms.
_LABELS = {"le", "instance", "job"}
_PARTS = ("_bucket", "_sum", "_count")


def alerts() -> list[dict[str, Any]]:
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"] if "alert" in rule]


def test_the_rules_and_the_scrape_configuration_are_good() -> None:
    promtool("check", "rules", "--lint=all", "--lint-fatal", str(RULES))
    promtool("check", "config", "--syntax-only", str(_FOLDER / "prometheus.yaml"))


@pytest.mark.slow
@pytest.mark.parametrize("file", _TESTS, ids=lambda file: file.name)
def test_every_rule_fires_for_what_it_is_about(file: Path) -> None:
    promtool("test", "rules", str(file))


def test_every_rule_is_tried_firing_and_silent() -> None:
    fired, silent = set(), set()
    for file in _TESTS:
        for one in yaml.safe_load(file.read_text())["tests"]:
            for tried in one["alert_rule_test"]:
                (fired if tried.get("exp_alerts") else silent).add(tried["alertname"])
    assert fired == silent == {rule["alert"] for rule in alerts()}


@pytest.mark.parametrize("rule", alerts(), ids=lambda rule: str(rule["alert"]))
def test_every_rule_says_what_to_do(rule: dict[str, Any]) -> None:
    page, _, anchor = rule["annotations"]["runbook"].partition("#")
    headings = re.findall(r"^#+ (.+)$", (ROOT / page).read_text(), re.MULTILINE)
    assert anchor in {heading.lower().replace(" ", "-") for heading in headings}
    assert rule["labels"]["severity"] in {"page", "ticket"}


def test_queries_name_series_and_labels_of_the_page() -> None:
    known = documented()
    recorded = {name for name in rule_expressions() if ":" in name}
    queries = [*panel_queries(), *rule_expressions().values()]
    for query in queries:
        names = {name for name in names_in(query) if not name.startswith("process_")}
        plain = {re.sub(rf"({'|'.join(_PARTS)})$", "", name) for name in names - known.keys()}
        assert plain <= known.keys() | recorded, query
        labels = {label for name in (names | plain) & known.keys() for label in known[name][1]}
        by = re.findall(r"(?:by|on) \(([\w, ]+)\)", query)
        matched = re.findall(r"(\w+)(?:=~|!~|!=|=)\"", query)
        asked = {label for listed in by for label in listed.split(", ")} | set(matched)
        assert asked <= labels | _LABELS, query


def test_every_series_of_the_page_is_used() -> None:
    text = DASHBOARD.read_text() + RULES.read_text()
    assert not [name for name in documented() if name not in text]
