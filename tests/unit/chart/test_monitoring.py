"""Alerts and dashboard: PromQL that is right, and that asks for what the operator exports."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.unit.chart.helm import CHART
from tests.unit.metrics_world import a_bit_of_everything, exported

if TYPE_CHECKING:
    from tests.unit.chart.helm import Helm, Manifests

Object = dict[str, Any]
ROOT = CHART.parents[1]
ALERTS = CHART / "alerts" / "cijob.yaml"
DASHBOARD = json.loads((CHART / "dashboards" / "cijob.json").read_text())
RULES: list[Object] = yaml.safe_load(ALERTS.read_text())["groups"][0]["rules"]
#: What Prometheus adds to each series.
TARGET = {"namespace", "job", "instance", "pod"}
#: Grafana's variables, with values of theirs.
VARIABLES = {"$__rate_interval": "5m", "$__range": "1h", "$job": ".*", "$pool": ".*"}
ALL = {"metrics": {name: {"enabled": True} for name in ("serviceMonitor", "prometheusRule", "dashboard")}}

_SELECTOR = re.compile(r"\b((?:cijob|process)_\w+)(?:\{([^}]*)\})?")
_MATCHER = re.compile(r'(\w+)\s*(=~|!=|=)\s*"([^"]*)"')
_GROUPING = re.compile(r"\b(?:by|on)\s*\(([^)]*)\)")


@pytest.fixture(scope="module")
def scraped() -> str:
    """What an operator exports to whom everything has happened."""
    return asyncio.run(a_bit_of_everything()).scrape()


def panels() -> list[Object]:
    return [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def queries() -> list[pytest.ParameterSet]:
    """The expressions of all alerts and panels."""
    alerts = [(rule["alert"], rule["expr"]) for rule in RULES]
    shown = [(panel["title"], target["expr"]) for panel in panels() for target in panel["targets"]]
    return [pytest.param(expression, id=f"{name}: {expression[:40]}") for name, expression in alerts + shown]


def asked_for() -> set[str]:
    """The names of all metrics in alerts and panels."""
    shown = [target["expr"] for panel in panels() for target in panel["targets"]]
    return {name for text in [*(rule["expr"] for rule in RULES), *shown] for name, _ in _SELECTOR.findall(text)}


def filled_in(expression: str) -> str:
    for variable, value in VARIABLES.items():
        expression = expression.replace(variable, value)
    return expression


def check(promtool: str, *arguments: str, cwd: Path, stdin: str = "") -> None:
    done = subprocess.run(
        [promtool, *arguments], cwd=cwd, input=stdin, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_alerts_are_well_formed(promtool: str) -> None:
    check(promtool, "check", "rules", "--lint=all", "--lint-fatal", str(ALERTS), cwd=CHART)


def test_each_alert_fires_when_it_should(promtool: str, tmp_path: Path) -> None:
    """The stories are in alerts_test.yaml; texts for people are left out of them."""
    rules = yaml.safe_load(ALERTS.read_text())
    for rule in rules["groups"][0]["rules"]:
        del rule["annotations"]
    (tmp_path / "cijob.yaml").write_text(yaml.safe_dump(rules))
    shutil.copy(Path(__file__).with_name("alerts_test.yaml"), tmp_path)
    check(promtool, "test", "rules", "alerts_test.yaml", cwd=tmp_path)


def test_each_alert_has_a_story() -> None:
    stories = yaml.safe_load(Path(__file__).with_name("alerts_test.yaml").read_text())["tests"]
    fired = {test["alertname"] for story in stories for test in story.get("alert_rule_test", ()) if test["exp_alerts"]}
    assert fired == {rule["alert"] for rule in RULES}


def test_the_dashboards_queries_are_promql(promtool: str, tmp_path: Path) -> None:
    expressions = [filled_in(target["expr"]) for panel in panels() for target in panel["targets"]]
    rules = [{"record": f"panel:{number}", "expr": expression} for number, expression in enumerate(expressions)]
    (tmp_path / "panels.yaml").write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    check(promtool, "check", "rules", "--lint=none", "panels.yaml", cwd=tmp_path)


def test_the_metrics_names_and_texts_follow_the_conventions(promtool: str, tmp_path: Path, scraped: str) -> None:
    check(promtool, "check", "metrics", cwd=tmp_path, stdin=scraped)


@pytest.mark.parametrize("expression", queries())
def test_a_query_asks_for_what_the_operator_exports(expression: str, scraped: str) -> None:
    samples = exported(scraped)
    known: set[str] = set(TARGET)
    for name, matchers in _SELECTOR.findall(filled_in(expression)):
        assert name in samples
        known |= set(samples[name])
        for label, operator, value in _MATCHER.findall(matchers):
            assert label in set(samples[name]) | TARGET, f"{name} has no label {label}"
            if operator != "=~" or value != ".*":
                values = {value for labels in samples.values() for value in labels.get(label, ())}
                assert set(value.split("|")) <= values, f"no sample has such a value of {label}"
    for grouping in _GROUPING.findall(expression):
        assert {label.strip() for label in grouping.split(",")} <= known


def test_the_page_on_metrics_lists_them_all(scraped: str) -> None:
    text = (ROOT / "docs" / "monitoring.md").read_text()
    explained = set(re.findall(r"^\| `(cijob_\w+)", text, re.MULTILINE))
    names = {name for name in exported(scraped) if name.startswith("cijob_")}
    assert {re.sub(r"_(bucket|sum|count)$", "", name) for name in names} == explained


class TestRunbooks:
    """Each alert has a page, where its annotation says."""

    @pytest.mark.parametrize("rule", RULES, ids=[rule["alert"] for rule in RULES])
    def test_says_what_it_means_how_to_see_it_and_what_to_do(self, rule: Object) -> None:
        page = ROOT / rule["annotations"]["runbook_url"]
        assert page == ROOT / "docs" / "runbooks" / f"{rule['alert']}.md"
        headings = [line for line in page.read_text().splitlines() if line.startswith("#")]
        assert headings == [f"# {rule['alert']}", "## What it means", "## How to see it", "## What to do"]

    def test_there_is_no_page_without_an_alert(self) -> None:
        pages = {page.stem for page in (ROOT / "docs" / "runbooks").glob("*.md")}
        assert pages == {rule["alert"] for rule in RULES}

    def test_their_queries_ask_for_what_the_alerts_and_panels_know(self) -> None:
        known = asked_for()
        for page in (ROOT / "docs" / "runbooks").glob("*.md"):
            for block in re.findall(r"```promql\n(.*?)```", page.read_text(), re.DOTALL):
                assert {name for name, _ in _SELECTOR.findall(block)} <= known, page.name


class TestChart:
    """What the chart makes of it."""

    def test_metrics_have_a_service_by_default_and_nothing_that_needs_other_kinds(self, default: Manifests) -> None:
        assert [service["metadata"]["name"] for service in default.of("Service")] == ["cijob-metrics"]
        for kind in ("ServiceMonitor", "PrometheusRule", "ConfigMap"):
            assert default.of(kind) == []

    def test_without_metrics_there_is_nothing(self, helm: Helm) -> None:
        manifests = helm.render({"metrics": {**ALL["metrics"], "enabled": False}})
        for kind in ("Service", "ServiceMonitor", "PrometheusRule", "ConfigMap"):
            assert manifests.of(kind) == []

    def test_the_service_reaches_each_replica_and_the_monitor_the_service(self, helm: Helm) -> None:
        manifests = helm.render(ALL)
        service = manifests.one("Service")
        labels = manifests.one("Deployment")["spec"]["template"]["metadata"]["labels"]
        assert service["spec"]["selector"].items() <= labels.items()
        assert service["spec"]["publishNotReadyAddresses"] is True, "a replica in trouble is the one to be seen"
        (port,) = service["spec"]["ports"]
        assert port["targetPort"] in {one["name"] for one in manifests.container["ports"]}
        monitor = manifests.one("ServiceMonitor")["spec"]
        assert monitor["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
        assert [endpoint["port"] for endpoint in monitor["endpoints"]] == [port["name"]]

    def test_the_rules_are_those_of_the_file(self, helm: Helm) -> None:
        assert helm.render(ALL).one("PrometheusRule")["spec"] == yaml.safe_load(ALERTS.read_text())

    def test_the_dashboard_is_that_of_the_file_under_grafanas_label(self, helm: Helm) -> None:
        dashboard = helm.render(ALL).one("ConfigMap")
        assert dashboard["metadata"]["labels"]["grafana_dashboard"] == "1"
        assert json.loads(dashboard["data"]["cijob.json"]) == DASHBOARD

    def test_panels_do_not_lie_on_each_other(self) -> None:
        taken = [
            (x, y)
            for panel in DASHBOARD["panels"]
            for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
            for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
        ]
        assert len(taken) == len(set(taken))
        assert max(x for x, _ in taken) < 24
        assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
