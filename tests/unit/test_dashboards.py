"""Every query of dashboards and rules asks for metrics that exist, by labels that they have."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
DASHBOARDS = sorted((ROOT / "deploy" / "grafana" / "dashboards").glob("*.json"))
RULES = yaml.safe_load((ROOT / "deploy" / "prometheus" / "rules.yml").read_text())["groups"]
REFERENCE = (ROOT / "docs" / "reference" / "metrics.md").read_text()

ROW = re.compile(r"^\| `(\w+)` \| (\w+) \| (.*?) \|", re.MULTILINE)
METRIC = re.compile(r"\bup\b|\b(?:celery|switchyard|process|queue:|task:)\w[\w:]*")
SELECTION = re.compile(r"([a-zA-Z_:][\w:]*)\{([^}]*)\}")
LABEL = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)")
OF_TARGETS = {"job", "instance", "namespace", "service", "worker"}
OF_ANY_PROCESS = {"process_resident_memory_bytes": set[str](), "up": set[str]()}


def existing() -> dict[str, set[str]]:
    """The labels of every series that is scraped or recorded, by its name."""
    series = dict(OF_ANY_PROCESS)
    for name, kind, labels in ROW.findall(REFERENCE):
        found = set(re.findall(r"`(\w+)`", labels))
        if kind == "histogram":
            series |= {f"{name}_bucket": found | {"le"}, f"{name}_sum": found, f"{name}_count": found}
        else:
            series[name] = found
    recorded = {rule["record"]: {"name", "queue_name", "broker"} for rule in rules() if "record" in rule}
    return {**recorded, **series}


def rules() -> list[dict]:
    return [rule for group in RULES for rule in group["rules"]]


def panels(path: Path) -> list[dict]:
    found: list[dict] = json.loads(path.read_text())["panels"]
    return found


def queries() -> list[tuple[str, str]]:
    """Each query, with where it stands."""
    of_rules = [(rule.get("alert") or rule["record"], rule["expr"]) for rule in rules()]
    of_panels = [
        (f"{path.stem}: {panel['title']}", target["expr"])
        for path in DASHBOARDS
        for panel in panels(path)
        for target in panel["targets"]
    ]
    of_lists = [
        (f"{path.stem}: list {variable['name']}", variable["query"]["query"].removeprefix("label_values(").rstrip(")"))
        for path in DASHBOARDS
        for variable in json.loads(path.read_text())["templating"]["list"]
        if variable["type"] == "query"
    ]
    return [*of_rules, *of_panels, *of_lists]


@pytest.mark.parametrize(("where", "query"), queries(), ids=[where for where, _ in queries()])
def test_a_query_asks_for_what_exists(where, query):
    series = existing()
    asked = set(METRIC.findall(query))
    assert asked
    assert asked <= set(series)
    for name, selection in SELECTION.findall(query):
        assert set(LABEL.findall(selection)) <= series[name] | OF_TARGETS


def test_there_are_the_three_dashboards():
    assert [path.stem for path in DASHBOARDS] == ["campaign", "fleet", "queue"]
    assert len({json.loads(path.read_text())["uid"] for path in DASHBOARDS}) == 3


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_panels_fit_side_by_side(path):
    taken: set[tuple[int, int]] = set()
    for panel in panels(path):
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert at["x"] + at["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells


def test_every_alert_says_how_urgent_it_is_and_what_is_wrong():
    for rule in rules():
        if "alert" in rule:
            assert rule["labels"]["severity"] in ("page", "ticket")
            assert rule["annotations"]["summary"].endswith(".")


def test_every_alert_has_a_test():
    tests = yaml.safe_load((ROOT / "deploy" / "prometheus" / "rules_test.yml").read_text())["tests"]
    fired = {
        alert["alertname"] for test in tests for alert in test.get("alert_rule_test", ()) if alert.get("exp_alerts")
    }
    assert {rule["alert"] for rule in rules() if "alert" in rule} - fired == set()
