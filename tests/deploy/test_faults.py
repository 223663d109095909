"""Every alert fires in a real Prometheus after its fault has happened to a real server.

The durations of the rules are shortened, so that this takes seconds instead of hours.
"""

import contextlib
import functools
import os
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.deploy.faults import FAULTS, SECONDS_PER_TOKEN
from tests.deploy.monitored import metrics_address
from tests.deploy.prometheus import Prometheus, running_prometheus
from tests.deploy.rules import ALERTS, FOLDER, Rule, seconds_of
from tests.integration import slow_server

RANGE = re.compile(r"(?<=\[)\w+(?=\])|(?<=\boffset )\w+")
FOR = re.compile(r"(?<=\bfor: )\w+")
"""The times for which a condition must hold. One failed scrape starts them again, so they are shortened most."""

RANGES_FASTER, FOR_FASTER = 60, 600
"""Factors by which durations are shortened."""

ALERT_SECONDS = 90.0

SPEED = {"ChajaLatencyBudgetBurn", "ChajaSaturated", "ChajaEventLoopLag", "ChajaBackupOld"}
"""Alerts that a healthy server may cause on a busy machine, with durations this short."""

FROM_THE_START = {"ChajaSnapshotOld", "ChajaRecallLow"}


def shortened(text: str) -> str:
    for durations, factor in ((RANGE, RANGES_FASTER), (FOR, FOR_FASTER)):
        text = durations.sub(lambda found: f"{seconds_of(found[0]) * 1000 // factor}ms", text)  # noqa: B023
    return text


def firing(alert: Rule, *, server: str = ".+") -> str:
    labels = f'alertname="{alert.name}",severity="{alert.severity}",namespace=~"{server}"'
    return f'ALERTS{{{labels},alertstate="firing"}}'


def wait_for(prometheus: Prometheus, server: str, name: str, severity: str = "") -> None:
    """Waits until an alert fires for a server with a severity, by default with all that it can have."""
    alerts = [alert for alert in ALERTS if alert.name == name and severity in ("", alert.severity)]
    assert alerts
    for alert in alerts:
        prometheus.wait_for(firing(alert, server=server), seconds=ALERT_SECONDS)


@pytest.fixture(scope="module")
def prometheus(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A Prometheus that has seen all servers healthy, and then broken."""
    if os.geteuid() != 0:
        assert not os.environ.get("CI"), "run as root"
        pytest.skip("only root can mount the disk that is filled")
    directory = tmp_path_factory.mktemp("faults")
    rules = [directory / name for name in ("recording.yml", "alerts.yml")]
    for path in rules:
        path.write_text(shortened((FOLDER / path.name).read_text(encoding="utf-8")), encoding="utf-8")
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.ExitStack() as stack,
        ThreadPoolExecutor(len(FAULTS)) as threads,
    ):
        patch.setenv(slow_server.SECONDS_PER_TOKEN, SECONDS_PER_TOKEN)
        contexts = [fault(tiny_bundle, directory) for fault in FAULTS.values()]
        faults = dict(zip(FAULTS, threads.map(stack.enter_context, contexts), strict=True))
        for fault in faults.values():
            stack.callback(fault.server.process.kill)  # Some cannot stop.
        targets = {name: metrics_address(fault.server) for name, fault in faults.items()}
        with running_prometheus(directory, targets, label="namespace", rules=rules) as prometheus:
            prometheus.wait_for(f"count(count_over_time(chaja_workers_alive[1m]) > 4) == {len(faults)}")
            early = {each.labels["alertname"] for each in prometheus.query('ALERTS{alertstate="firing"}')}
            assert early <= SPEED | FROM_THE_START, "the servers are still healthy"
            broken = [
                threads.submit(fault.begin, functools.partial(wait_for, prometheus, name))
                for name, fault in faults.items()
            ]
            for each in broken:
                each.result()
            yield prometheus


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: f"{alert.name}-{alert.severity}")
def test_the_alert_fires_on_its_fault(prometheus: Prometheus, alert: Rule) -> None:
    assert prometheus.query(f"max_over_time({firing(alert)}[10m])")
