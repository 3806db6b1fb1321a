"""The shipped rules and the dashboard, held against promtool and against the metrics that are served."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.servers.debian import program
from tests.test_metrics import served_names

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
RULES = DEPLOY / "ragwatch.rules.yml"
RULES_TEST = DEPLOY / "ragwatch.rules.test.yml"
NAMED = re.compile(r"\bragwatch_\w+")


@pytest.fixture(scope="module")
def promtool() -> Path:
    return program("promtool", "prometheus")


def run(promtool: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [str(promtool), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def alerts() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def expressions() -> list[str]:
    dashboard = json.loads((DEPLOY / "dashboard.json").read_text())
    return [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]


def test_promtool_accepts_the_rules_and_the_configuration(promtool: Path) -> None:
    checked = run(promtool, "check", "rules", RULES)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    checked = run(promtool, "check", "config", DEPLOY / "prometheus.yml")
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_rules_fire_when_they_should_and_only_then(promtool: Path) -> None:
    tested = run(promtool, "test", "rules", RULES_TEST)
    assert tested.returncode == 0, tested.stdout + tested.stderr


def test_every_alert_is_shown_to_fire(promtool: Path) -> None:
    cases = [
        case
        for test in yaml.safe_load(RULES_TEST.read_text())["tests"]
        for case in test["alert_rule_test"]
        if case["exp_alerts"]
    ]
    assert {case["alertname"] for case in cases} == {rule["alert"] for rule in alerts()}


def test_every_metric_that_a_rule_or_a_panel_names_is_served() -> None:
    text = "\n".join(
        [*expressions(), RULES.read_text(), RULES_TEST.read_text(), (DEPLOY / "dashboard.json").read_text()]
    )
    assert set(NAMED.findall(text)) <= served_names()


def test_every_metric_that_is_documented_is_served_and_the_other_way_round() -> None:
    page = (DEPLOY.parent / "docs" / "operations.md").read_text()
    documented = set(re.findall(r"^\| `(ragwatch_\w+)` ", page, re.MULTILINE))
    assert documented == served_names(families_only=True)


def test_the_dashboards_expressions_are_promql(promtool: Path, tmp_path: Path) -> None:
    rules = [{"record": f"panel:{number}", "expr": expr} for number, expr in enumerate(expressions())]
    text = yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]})
    file = tmp_path / "dashboard.rules.yml"
    file.write_text(text.replace("$collection", ".*"))
    checked = run(promtool, "check", "rules", file)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_dashboard_has_no_two_panels_in_one_place() -> None:
    panels = json.loads((DEPLOY / "dashboard.json").read_text())["panels"]
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in panels)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
    assert len({panel["id"] for panel in panels}) == len(panels)
