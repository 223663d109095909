import subprocess
from collections import defaultdict
from pathlib import Path

import pytest
import yaml

from tests.deploy.monitored import Monitored
from tests.deploy.prometheus import CONFIGURATION, tool
from tests.deploy.rules import ALERTS, RECORDING, RULE_TESTS, Rule, seconds_of

WINDOWS = ["5m", "30m", "1h", "2h", "6h", "1d", "3d"]


def promtool(*arguments: str) -> None:
    run = subprocess.run([tool("promtool"), *arguments], capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert not run.stderr.strip(), run.stderr


def test_promtool_accepts_the_configuration_and_the_rules() -> None:
    promtool("check", "config", "--lint-fatal", str(CONFIGURATION))


@pytest.mark.parametrize("file", RULE_TESTS, ids=lambda path: str(path.stem))
def test_the_rules_give_the_expected_series_and_alerts(file: Path) -> None:
    promtool("test", "rules", str(file))


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: f"{alert.name}-{alert.severity}")
def test_each_alert_has_a_firing_and_a_silent_case_and_both_sides_of_its_duration(alert: Rule) -> None:
    firing, silent = _cases(alert)
    assert firing, "no case in which it fires"
    assert silent, "no case in which it is silent"
    # If it fires now and did not `for` ago or later, its condition was true, and it waited.
    waits = (fired - before for name, fired in firing for other, before in silent if name == other and before < fired)
    assert not alert.for_seconds or min(waits) <= alert.for_seconds


def _cases(alert: Rule) -> tuple[list[tuple[str, int]], list[tuple[str, int]]]:
    """Returns the test and the time in seconds of each case in which the alert fires, and of those in which not."""
    cases: dict[bool, list[tuple[str, int]]] = defaultdict(list)
    for file in RULE_TESTS:
        for test in yaml.safe_load(file.read_text(encoding="utf-8"))["tests"]:
            for case in test.get("alert_rule_test", []):
                if case["alertname"] == alert.name:
                    severities = [each["exp_labels"]["severity"] for each in case["exp_alerts"]]
                    cases[alert.severity in severities].append((test["name"], seconds_of(case["eval_time"])))
    return cases[True], cases[False]


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: f"{alert.name}-{alert.severity}")
def test_each_alert_says_what_is_wrong_and_where_to_read_on(alert: Rule) -> None:
    assert alert.severity in ("page", "ticket")
    assert alert.annotations.keys() == {"summary", "description", "runbook_url"}
    assert alert.annotations["summary"].startswith("{{ $labels.job }}: ")
    assert "$value" in alert.annotations["description"] or alert.name == "ChajaDown", "it has no value to show"
    assert alert.annotations["runbook_url"] == f"deploy/runbook.md#{alert.name.lower()}"


@pytest.mark.parametrize("rule", [*RECORDING, *ALERTS], ids=lambda rule: rule.name)
def test_each_rule_reads_the_series_of_chaja_alone(rule: Rule) -> None:
    assert rule.selectors
    for name, braces in rule.selectors:
        assert ":" in name or 'job="chaja"' in braces, f"{name} lacks job"


def test_the_windows_of_the_objectives_have_the_same_rules() -> None:
    groups = {window: [rule for rule in RECORDING if rule.group == f"chaja-requests-{window}"] for window in WINDOWS}
    short = [(rule.name, rule.expression) for rule in groups["5m"]]
    for window, rules in groups.items():
        expected = [(name.replace("5m", window), expression.replace("5m", window)) for name, expression in short]
        assert [(rule.name, rule.expression) for rule in rules] == expected


def test_every_recording_rule_gives_data_of_a_real_server(monitored: Monitored) -> None:
    for rule in RECORDING:
        monitored.prometheus.wait_for(rule.expression)
        monitored.prometheus.wait_for(rule.name)


def test_every_series_that_an_alert_reads_exists_in_a_real_server(monitored: Monitored) -> None:
    for alert in ALERTS:
        monitored.prometheus.query(alert.expression)
        for name, braces in alert.selectors:
            monitored.prometheus.wait_for(name + braces)


def test_prometheus_evaluates_every_rule(monitored: Monitored) -> None:
    rules = monitored.prometheus.rules()
    assert len(rules) == len(RECORDING) + len(ALERTS)
    assert {(rule["health"], rule.get("lastError")) for rule in rules} == {("ok", None)}
