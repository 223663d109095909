"""JUnit XML, OpenMetrics and the JSON of comparisons."""

import json
import os
import re
import subprocess
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from loadtest.analysis.compare import compare
from loadtest.analysis.objective import judge_objectives, parse_objective
from loadtest.analysis.summary import Summary, summarize
from loadtest.errors import UsageError
from loadtest.reports.comparison import KEYS, comparison_json
from loadtest.reports.junit import junit_report
from loadtest.reports.openmetrics import openmetrics_report
from loadtest.reports.text import text_report
from sample.server_process import REPOSITORY
from tests.loadtest.results_files import METHOD, record, vitals, write_run

PROMTOOL = REPOSITORY / "build/tools/usr/bin/promtool"
STAGES = (0.001, 0.001, 0.004, 0.001, 0.001)
LABELS = (f'call="{METHOD}"', f'method="{METHOD}"', 'target="search:50051"')
"""Labels of every series."""

START = 1_764_000_000.0


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run of three seconds: 100 successes a second, one failure in the last."""
    packed = [record(number / 100, 0.020, stages=STAGES, batch_texts=1) for number in range(300)]
    failed = record(2.5, 0.3, code="UNAVAILABLE")
    target = {"address": "search:50051"}
    return write_run(
        tmp_path / "r.bin", [*packed, failed], seconds=3.0, started=START, reports=[vitals()], target=target
    )


def junit(summary: Summary, *objectives: str, **options: bool) -> ET.Element:
    verdicts = judge_objectives([parse_objective(text) for text in objectives], summary)
    [suite] = ET.fromstring(junit_report(summary, verdicts, **options))  # noqa: S314  our own document
    return suite


def failures(suite: ET.Element, kind: str = "failure") -> dict[str, str]:
    found = {case.attrib["name"]: case.find(kind) for case in suite}
    return {name: note.attrib["message"] for name, note in found.items() if note is not None}


def test_each_assertion_is_a_test_case(run: Path) -> None:
    suite = junit(summarize([run]), "p99<5ms", "errors<1%")
    assert failures(suite) == {"p99<5ms": "p99<5ms was not met: 20 ms"}
    assert (suite.attrib["tests"], suite.attrib["failures"], suite.attrib["errors"]) == ("4", "1", "0")
    assert "chaja.v1.SearchService/Search" in suite.attrib["name"]


def test_a_test_case_has_the_same_name_in_every_repeat(run: Path, tmp_path: Path) -> None:
    packed = [record(number / 100) for number in range(300)]
    later = write_run(
        tmp_path / "later.bin", packed, seconds=3.0, started=START + 60, target={"address": "search:50051"}
    )
    first, second = (junit(summarize([path]), "p99<5ms") for path in (run, later))
    assert [case.attrib for case in first] == [case.attrib for case in second]
    assert (first.attrib["name"], first.attrib["timestamp"]) == (f"{METHOD} on search:50051", "2025-11-24T16:00:00")
    assert second.attrib["timestamp"] == "2025-11-24T16:01:00"


def test_a_saturated_generator_and_a_partial_run_do_not_pass(tmp_path: Path) -> None:
    partial = {"partial": "interrupted \x00 <after> 1 s"}
    path = write_run(
        tmp_path / "r.bin",
        [record(0.1, late=0.01)],
        reports=[vitals(seconds=each, loop_cpu_seconds=0.49) for each in (0.5, 1.0)],
        end=partial,
    )
    suite = junit(summarize([path]))
    assert "GENERATOR SATURATED" in failures(suite)["the generator kept to its plan"]
    assert failures(suite, "error") == {"the run is complete": "interrupted \ufffd <after> 1 s"}


def series(report: str) -> dict[str, list[tuple[float, float]]]:
    """Returns the (second, value) pairs of each series of an OpenMetrics file."""
    assert report.endswith("# EOF\n")
    found: dict[str, list[tuple[float, float]]] = {}
    for line in report.splitlines():
        if not line.startswith("#"):
            name, value, time = line.rsplit(" ", 2)
            for label in LABELS:
                name = re.sub(f"(?<=[{{,]){label},?|,{label}", "", name)
            name = name.replace(",}", "}").replace("{}", "")
            found.setdefault(name, []).append((float(time) - START, float(value)))
    return found


def test_what_is_tolerated_is_skipped(tmp_path: Path) -> None:
    busy = [vitals(seconds=each, loop_cpu_seconds=0.49) for each in (0.5, 1.0)]
    summary = summarize([write_run(tmp_path / "r.bin", [record(0.1, 0.020)], reports=busy)])
    tolerant = junit(summary, "p99<5ms", late_fails=False, missed_when_late_fails=False)
    assert list(failures(tolerant, "skipped")) == ["p99<5ms", "the generator kept to its plan"]
    assert (tolerant.attrib["failures"], tolerant.attrib["skipped"]) == ("0", "2")
    assert list(failures(junit(summary, "p99<5ms", late_fails=False))) == ["p99<5ms"]


def test_a_run_without_a_success_does_not_pass(tmp_path: Path) -> None:
    path = write_run(tmp_path / "r.bin", [record(0.1, code="UNAVAILABLE")], reports=[vitals()])
    assert failures(junit(summarize([path])), "error") == {"the run is complete": "not one call succeeded"}


def test_openmetrics_has_every_second_of_the_run(run: Path) -> None:
    found = series(openmetrics_report(summarize([run], by_call=True)))
    ok = found['chaja_loadtest_requests_total{outcome="OK"}']
    assert ok == [(0, 0), (1, 100), (2, 200), (3, 300), (4, 300)]
    assert [value for _, value in found['chaja_loadtest_requests_total{outcome="UNAVAILABLE"}']] == [0, 0, 0, 1, 1]
    for bound, count in (("0.01", 0), ("0.025", 300), ("+Inf", 300)):
        assert found[f'chaja_loadtest_latency_seconds_bucket{{le="{bound}"}}'][-1] == (4, count)
    assert found["chaja_loadtest_latency_seconds_count"] == ok
    assert found["chaja_loadtest_latency_seconds_sum"][-1][1] == pytest.approx(300 * 0.020, rel=0.01)
    assert found['chaja_loadtest_stage_seconds_sum{stage="encode"}'][-1][1] == pytest.approx(300 * 0.004)


def test_each_call_of_a_mix_has_its_own_series(tmp_path: Path) -> None:
    calls = [{"name": "quick", "method": METHOD}, {"method": "shop.Orders/Get"}]
    packed = [record(number / 10, call=int(number < 5)) for number in range(20)]  # The second call ends first.
    path = write_run(tmp_path / "r.bin", packed, seconds=2.0, started=START, calls=calls, target={"address": "s:1"})
    lines = openmetrics_report(summarize([path], by_call=True)).splitlines()
    counts = {line.split()[0]: float(line.split()[1]) for line in lines if line.startswith("chaja_loadtest_requests_t")}
    assert counts == {
        f'chaja_loadtest_requests_total{{call="quick",method="{METHOD}",outcome="OK",target="s:1"}}': 15,
        'chaja_loadtest_requests_total{call="shop.Orders/Get",method="shop.Orders/Get",outcome="OK",target="s:1"}': 5,
    }


def test_prometheus_imports_an_openmetrics_file(run: Path, tmp_path: Path) -> None:
    if not PROMTOOL.exists():
        assert "CI" not in os.environ, "make promtool extracts it"
        pytest.skip("promtool is missing: make promtool")
    file = tmp_path / "run.om"
    file.write_text(openmetrics_report(summarize([run], by_call=True)), encoding="utf-8")
    command = [str(PROMTOOL), "tsdb", "create-blocks-from", "openmetrics", str(file), str(tmp_path / "data")]
    imported = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert imported.returncode == 0, imported.stderr
    assert "NUM SAMPLES" in imported.stdout


def test_repeats_have_no_common_seconds(run: Path, tmp_path: Path) -> None:
    later = write_run(tmp_path / "later.bin", [record(0.5)], seconds=3.0, started=START + 60)
    with pytest.raises(UsageError, match="name one results file"):
        openmetrics_report(summarize([run, later]))


def test_a_comparison_as_json_has_every_figure(tmp_path: Path) -> None:
    sides: list[list[Path]] = []
    for level in (0.010, 0.015):
        packed = [record(number / 50, level + number % 7 / 1000) for number in range(500)]
        sides.append([write_run(tmp_path / f"{level}-{repeat}.bin", packed) for repeat in range(3)])
    comparison = compare(*([summarize([path]) for path in side] for side in sides))
    worse = [row for row in comparison.rows if row.worse]
    made = json.loads(comparison_json(comparison, paths=("a", "b"), max_regression=0.05, regressions=worse))
    assert "latency p99" in made["regressions"]
    [p50] = [figure for figure in made["figures"] if figure["name"] == "latency p50"]
    assert (p50["unit"], p50["worse"]) == ("seconds", True)
    assert p50["a"] == pytest.approx(0.013, rel=0.01)
    assert p50["low"] <= p50["change"] <= p50["high"]
    assert made["a"] == {"path": "a", "repeats": 3, "seconds": 30}
    documented = "".join(keys + meaning for keys, meaning in KEYS)
    assert all(f"`{key}`" in documented for key in [*made, *p50])


def test_the_text_has_bytes_a_second(run: Path) -> None:
    summary = summarize([run])
    lines = [line.split() for line in text_report(summary, []).splitlines()]
    assert ["bytes", "of", "requests", "3,010", f"{3010 / summary.seconds:,.0f}"] in lines
    assert ["bytes", "of", "answers", "6,020", f"{6020 / summary.seconds:,.0f}"] in lines
