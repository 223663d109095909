import math

import msgspec
import pytest

from server.http.pages.figures import Figures, Gauges, figures_of, gauges_of
from server.http.pages.findings import Thresholds, findings_of
from server.http.pages.reading import Reading
from server.stages import Stopwatch
from tests.server.http.pages.observing import (
    INTERNAL,
    OK,
    RESOURCE_EXHAUSTED,
    SEARCH_PATH,
    Observed,
    end_calls,
    new_metrics,
)

NOW = 1_800_000_000.0


def healthy() -> Gauges:
    metrics = new_metrics()
    metrics.workers.alive.set(2)
    metrics.store.free_bytes.set(2**40)
    metrics.process.describe_model(name="tiny", revision="r1", quantization="int8", encoder="native")
    return gauges_of(Reading.of(metrics.registry))


def texts(gauges: Gauges, figures: Figures | None = None) -> dict[str, str]:
    """Returns the findings' texts by their alert."""
    found = findings_of(figures, gauges, now=NOW, thresholds=Thresholds(min_recall=0.95))
    return {each.alert: each.text for each in found}


def test_a_healthy_server_has_no_findings() -> None:
    observed = Observed(metrics := new_metrics())
    end_calls(metrics, SEARCH_PATH, code=OK, seconds=0.004, count=100)
    assert texts(healthy(), figures_of(observed.window())) == {}


@pytest.mark.parametrize(
    ("change", "alert", "text"),
    [
        ({"workers_alive": 1.0}, "ChajaWorkerDead", "1 of 2 workers have died: a restart or a reload starts new ones"),
        ({"recall": 0.9}, "ChajaRecallLow", "recall is 0.900, below --min-recall 0.95"),
        (
            {"last_reload_failed": 1.0},
            "ChajaReloadFailed",
            "the last reload failed; the previous bundle and catalogue keep serving",
        ),
        ({"change_lag_seconds": 90.0}, "ChajaIndexStale", "searches do not see changes that are 90 s old"),
        (
            {"backup_interval_seconds": 3600.0, "backup_timestamp_seconds": NOW - 9000},
            "ChajaBackupOld",
            "the newest backup is 2.5 hours old",
        ),
        (
            {"backup_interval_seconds": 3600.0, "started_at": NOW - 9000},
            "ChajaBackupOld",
            "no backup was made yet",
        ),
        ({"data_free_bytes": 2.0**20 * 100}, "ChajaDiskFull", "the disk of --data has 100 MiB left"),
        (
            {"certificate_expiry_timestamp_seconds": NOW + 86400 * 3},
            "ChajaCertificateExpires",
            "the TLS certificate expires in 3.0 days",
        ),
        (
            {"certificate_expiry_timestamp_seconds": NOW - 1},
            "ChajaCertificateExpires",
            "the TLS certificate has expired",
        ),
        (
            {"open_descriptors": 900.0, "max_descriptors": 1000.0},
            "ChajaSaturated",
            "900 of 1000 file descriptors are open",
        ),
    ],
)
def test_a_value_out_of_its_range_is_found(change: dict[str, float], alert: str, text: str) -> None:
    assert texts(msgspec.structs.replace(healthy(), **change)) == {alert: text}


def test_unknown_values_are_no_findings() -> None:
    values = {name: value for name, value in msgspec.structs.asdict(healthy()).items() if isinstance(value, float)}
    assert texts(msgspec.structs.replace(healthy(), **dict.fromkeys(values, math.nan))) == {}


def test_failed_refused_and_slow_calls_are_found() -> None:
    observed = Observed(metrics := new_metrics())
    end_calls(metrics, SEARCH_PATH, code=OK, seconds=0.3, count=80)
    end_calls(metrics, SEARCH_PATH, code=INTERNAL, seconds=0.01, count=5)
    end_calls(metrics, SEARCH_PATH, code=RESOURCE_EXHAUSTED, seconds=0.01, count=15)
    stopwatch = Stopwatch()
    stopwatch.seconds = {"queue": 0.25, "encode": 0.05}
    metrics.searches.observe_stages(stopwatch)
    metrics.process.event_loop_lag_seconds.observe(0.4)
    found = texts(healthy(), figures_of(observed.window()))
    assert found["ChajaErrorBudgetBurn"] == "5.0% of calls fail"
    assert found["ChajaSaturated"].startswith("15.0% of calls are refused")
    slow = "80.0% of searches take longer than 100 ms; 83% of the time is spent in queue"
    assert found["ChajaLatencyBudgetBurn"] == slow
    assert found["ChajaEventLoopLag"].startswith("the event loop answers late")


def test_problems_come_before_warnings() -> None:
    observed = Observed(metrics := new_metrics())
    end_calls(metrics, SEARCH_PATH, code=OK, seconds=0.3, count=8)
    gauges = msgspec.structs.replace(healthy(), recall=0.5)
    found = findings_of(figures_of(observed.window()), gauges, now=NOW, thresholds=Thresholds(min_recall=0.95))
    assert [each.kind for each in found] == ["problem", "warning"]
