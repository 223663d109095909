import json
import math
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plotly.offline import get_plotlyjs

from loadtest.analysis.summary import Summary, summarize
from loadtest.reports import charts, health_charts
from loadtest.reports.groups import MOST_POINTS
from loadtest.reports.page import comparison_page, report_page
from loadtest.reports.style import GREEN, ORANGE, RED, log_ticks
from loadtest.reports.title import title_of
from loadtest.stages import STAGES
from tests.loadtest.results_files import METHOD, record, vitals, write_run

HOSTILE = '</script><img src="http://evil.example/x" onerror=alert(1)>'
REPORTED_STAGES = (0.001, 0.002, 0.004, 0.0005, 0.0005)


def scrape(second: int) -> dict[str, Any]:
    samples = {
        "chaja_queue_texts": 5.0,
        "chaja_batch_texts_sum": 40.0 * second,
        "chaja_batch_texts_count": 10.0 * second,
        "process_cpu_seconds_total": 1.5 * second,
        'grpc_server_handled_total{grpc_code="OK",grpc_method="Search"}': 30.0 * second,
        'grpc_server_handled_total{grpc_code="Internal",grpc_method="Search"}': 0.0,
    }
    return {"seconds": float(second), "samples": samples}


def summary_of(path: Path, records: list[bytes], **options: Any) -> Summary:
    return summarize([write_run(path, records, seconds=3.0, **options)])


def page_of(path: Path, records: list[bytes], **options: Any) -> str:
    return report_page(summary_of(path, records, **options))


def steady(count: int = 300, **options: Any) -> list[bytes]:
    return [record(number / 100, 0.012, **options) for number in range(count)]


def without_library(page: str) -> str:
    library = get_plotlyjs()
    assert page.count(library) == 1
    return page.replace(library, "")


def text_of(page: str) -> str:
    body = without_library(page).partition("<body>")[2]
    return re.sub(r"<[^>]+>", " ", re.sub(r"<script.*?</script>", "", body, flags=re.DOTALL))


def headings(page: str) -> list[str]:
    return re.findall(r"<h2>(.*?)</h2>", page)


def rows_of(page: str, first: str) -> list[list[str]]:
    rows = re.findall(rf'<tr><th scope="row">{re.escape(first)}</th>(.*?)</tr>', page)
    return [re.findall(r"<td>(.*?)</td>", row) for row in rows]


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    records = steady(stages=REPORTED_STAGES, batch_texts=4, same=1, quality=(0.75, 0.75))
    records += [record(1.5, 0.001, code="RESOURCE_EXHAUSTED") for _ in range(6)]
    records += [record(1.6, 1.0, code="DEADLINE_EXCEEDED") for _ in range(3)]
    records += [record(1.7, 0.012, call=1, same=0, stages=REPORTED_STAGES)]
    return summary_of(
        tmp_path_factory.mktemp("page") / "full.bin",
        records,
        calls=[{"method": METHOD}, {"method": "chaja.v1.SearchService/BatchSearch"}],
        reports=[vitals(seconds=0.5 * number) for number in range(1, 7)],
        metrics=[scrape(second) for second in range(-1, 4)],
        rates=[[3.0, 100.0, 100.0]],
        queries={"count": 7, "order": "zipf", "zipf_exponent": 1.0},
        seed=4711,
    )


@pytest.fixture(scope="module")
def full_page(full: Summary) -> str:
    return report_page(full)


def test_page_loads_nothing(full_page: str) -> None:
    page = without_library(full_page)
    assert not re.search(r"""(src|href|action)\s*=|url\(|@import|https?:""", page)
    assert "default-src 'none'" in page, "the library cannot load anything"


def test_first_line_is_the_verdict(full_page: str, tmp_path: Path) -> None:
    assert text_of(full_page).strip().startswith("The generator kept to its plan")
    busy = [vitals(seconds=each, loop_cpu_seconds=0.49) for each in (0.5, 1.0)]
    page = page_of(tmp_path / "busy.bin", steady(), reports=busy)
    assert text_of(page).strip().startswith("GENERATOR SATURATED: ")
    assert "its busiest process used 98% of a core" in text_of(page)
    assert 'class="verdict bad"' in page


def test_generator_without_reports_is_not_called_good(tmp_path: Path) -> None:
    page = page_of(tmp_path / "r.bin", steady())
    assert text_of(page).strip().startswith("NOT KNOWN whether the generator was saturated")
    assert "The generator itself" not in headings(page)
    assert 'class="verdict unsure"' in page


def test_page_has_the_figures(full_page: str) -> None:
    [planned] = rows_of(full_page, "OK, from the planned time")
    assert planned[0] == "301"
    assert all(abs(float(cell) - 12.0) < 0.1 for cell in planned[1:])
    [[refused_count, *_]] = rows_of(full_page, "refused (RESOURCE_EXHAUSTED), from the planned time")
    [[outcome_count, *_]] = rows_of(full_page, "refused (RESOURCE_EXHAUSTED)")
    [[deadline_count, *_]] = rows_of(full_page, "DEADLINE_EXCEEDED, from the planned time")
    assert (outcome_count, refused_count, deadline_count) == ("6", "6", "3")
    assert [rows_of(full_page, stage)[0][1] for stage in STAGES] == ["1.00", "2.00", "4.00", "0.500", "0.500"]
    assert rows_of(full_page, "network + client")[0][1] == "4.00"
    assert rows_of(full_page, "chaja.v1.SearchService/BatchSearch")[0][:2] == ["1", "1"]
    shown = dict(re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", full_page))
    assert shown["offered"] == "103.3/s"
    assert shown["errors"] == "3 (0.97%)"
    assert rows_of(full_page, "recall@10")[0][0] == "0.7500"
    assert rows_of(full_page, "answers that differ from the reference answers")[0][0] == "1"
    assert rows_of(full_page, "seed") == [["4711"]]
    assert rows_of(full_page, "rates") == [["100/s for 3 s"]]
    assert rows_of(full_page, "queries") == [["count 7, order zipf, zipf exponent 1"]]


def test_page_has_a_chart_for_all_data(full_page: str) -> None:
    assert {"Where the time goes", "The generator itself", "The server&#x27;s metrics"} <= set(headings(full_page))
    assert full_page.count('class="chart"') == 8


def test_page_omits_sections_without_data(tmp_path: Path) -> None:
    page = page_of(tmp_path / "r.bin", steady())
    assert headings(page) == [
        "Requests in 3.0 s",
        "Outcomes",
        "Latency in milliseconds",
        "Generator",
        "Latency over time",
        "Latency by percentile",
        "Distribution of latencies",
        "Throughput over time",
        "Outcomes over time",
        "Environment and plan",
    ]
    assert not rows_of(page, "tokenize")
    assert not rows_of(page, "refused (RESOURCE_EXHAUSTED)")


def test_run_without_a_success_has_no_latencies(tmp_path: Path) -> None:
    page = page_of(tmp_path / "r.bin", [record(number / 1000, 0.001, code="UNAVAILABLE") for number in range(5)])
    assert "NOT ONE CALL SUCCEEDED" in text_of(page)
    assert '<p class="verdict bad" role="status"><strong>MOST REQUESTS FAILED' in page
    assert re.search(r"<dt>p99 from the planned time</dt><dd>-</dd>", page)
    assert rows_of(page, "OK, from the planned time") == [["0", *["-"] * 8]]
    assert "Latency over time" not in headings(page)
    assert "Outcomes over time" in headings(page)


def test_run_without_a_request_has_no_charts(tmp_path: Path) -> None:
    page = page_of(tmp_path / "r.bin", [])
    assert 'class="chart"' not in page
    assert "chaja.v1" in page, "the environment is shown anyway"


def test_partial_run_and_closed_loop_are_stated(tmp_path: Path) -> None:
    end = {"partial": "interrupted after 2.0 s"}
    text = text_of(page_of(tmp_path / "r.bin", steady(), loop="closed", in_flight=8, end=end))
    assert "PARTIAL: interrupted after 2.0 s" in text
    assert "Closed loop" in text


def test_hostile_texts_are_shown_as_text(tmp_path: Path) -> None:
    calls, environment = [{"method": HOSTILE}, {"method": "b"}], {"command_line": HOSTILE}
    run = write_run(tmp_path / "r.bin", steady(), calls=calls, environment=environment, end={"partial": HOSTILE})
    summary = summarize([run])
    pages = [report_page(summary), comparison_page({HOSTILE: summary, "b": summary})]
    for page in map(without_library, pages):
        assert "<img" not in page
        assert page.count("<script") == page.count("</script>")
        assert "&lt;img" in page
    # plotly interprets tags in labels, so they must be escaped.
    assert all("<" not in trace.name.replace("<br>", "") for trace in charts.compared_latency({HOSTILE: summary}).data)


def test_comparison_has_a_row_for_each_run(full: Summary, tmp_path: Path) -> None:
    busy = summary_of(tmp_path / "busy.bin", steady(100, late=0.005), reports=[vitals()])
    silent = summary_of(tmp_path / "silent.bin", [])
    page = comparison_page({"before": full, "after": busy, "nothing": silent})
    assert text_of(page).strip().startswith("after: GENERATOR SATURATED: ")
    assert rows_of(page, "before")[0][0] == "kept to its plan"
    assert rows_of(page, "after")[0][0] == "saturated"
    assert rows_of(page, "nothing")[0][3] == "-"
    assert page.count('class="chart"') == 3
    throughput = charts.compared_throughput({"before": full, "after": busy})
    assert [trace.name for trace in throughput.data] == ["before", "after"]


def test_charts_of_long_runs_have_a_limited_number_of_points(tmp_path: Path) -> None:
    records = [record(second + 0.001, 0.012) for second in range(1501)]
    timeline = summarize([write_run(tmp_path / "r.bin", records, seconds=1501.0)]).timeline
    planned, answered = charts.throughput_over_time(timeline).data
    assert len(planned.x) == len(answered.x) == 501, "a step for each three seconds, and the end of the last"
    assert set(answered.y) == {1.0}, "the rate is 1/s, whatever the number of seconds in a group"
    assert len(charts.latency_over_time(timeline).data[0].x) <= MOST_POINTS


@pytest.mark.parametrize(("seconds", "last"), [(10.0, 9.0), (5.4, 4.0), (5.6, 5.0)])
def test_charts_end_where_the_run_ends(tmp_path: Path, seconds: float, last: float) -> None:
    records = [record(number / 100, 0.012) for number in range(round(seconds * 100))]
    timeline = summarize([write_run(tmp_path / "r.bin", records, seconds=seconds)]).timeline
    throughput = charts.throughput_over_time(timeline)
    for drawn, end in zip(throughput.data, (seconds, seconds + 0.002), strict=True):
        assert (drawn.x[0], drawn.x[-2], drawn.x[-1]) == (0, last, pytest.approx(end))
        assert drawn.y[1:] == pytest.approx(100, abs=2), "the last second is complete"
    [answered] = charts.outcomes_over_time(timeline).data
    assert answered.y == pytest.approx(100)
    assert answered.x[-1] + answered.width[-1] == pytest.approx(seconds)
    for chart in (throughput, charts.latency_over_time(timeline), charts.outcomes_over_time(timeline)):
        assert chart.layout.xaxis.range == pytest.approx((0, seconds), abs=0.003)


def test_answers_after_the_end_of_the_plan_are_drawn(tmp_path: Path) -> None:
    records = [record(number / 100, 2.0) for number in range(300)]
    planned, answered = charts.throughput_over_time(summary_of(tmp_path / "r.bin", records).timeline).data
    assert planned.x[-1] == 3
    assert list(answered.y[:4]) == pytest.approx([0, 0, 100, 100], rel=0.01)
    assert answered.x[-1] == pytest.approx(4.99)


@pytest.mark.parametrize("level", ["seconds with a gap", "no gap"])
def test_a_second_without_an_answer_interrupts_the_line(tmp_path: Path, level: str) -> None:
    records = [each for number, each in enumerate(steady(500)) if not 200 <= number < 300 or level == "no gap"]
    timeline = summarize([write_run(tmp_path / "r.bin", records, seconds=5.0)]).timeline
    p50 = charts.latency_over_time(timeline).data[0]
    breaks = [float(x) for x, y in zip(p50.x, p50.y, strict=True) if math.isnan(y)]
    assert breaks == ([2.0] if level == "seconds with a gap" else [])
    assert p50.x[-1] == 5


@given(st.floats(1e-3, 1e4), st.floats(1, 1e6))
def test_a_logarithmic_axis_has_readable_ticks(lowest: float, ratio: float) -> None:
    axis = log_ticks(lowest, lowest * ratio)
    low, high = (10**end for end in axis["range"])
    assert low <= lowest * 1.0001
    assert high >= lowest * ratio * 0.9999
    assert 3 <= len(axis["tickvals"]) <= 10
    assert all(low * 0.999 <= tick <= high * 1.001 for tick in axis["tickvals"])
    assert len(set(axis["ticktext"])) == len(axis["ticktext"])
    assert max(map(len, axis["ticktext"])) <= 14


def test_the_title_has_method_target_and_time(tmp_path: Path) -> None:
    target = {"address": "search:50051"}
    runs = [
        write_run(tmp_path / f"{started}.bin", steady(), started=float(started), target=target)
        for started in (1_700_000_000, 1_700_000_600)
    ]
    one, both = summarize(runs[:1]), summarize(runs)
    assert f"<h1>{METHOD} on search:50051, 2023-11-14 22:13:20 UTC</h1>" in report_page(one)
    assert title_of(both.runs) == f"{METHOD} on search:50051, 2023-11-14 22:13:20 to 2023-11-14 22:23:20 UTC, 2 runs"


def test_stall_does_not_flatten_the_stages(tmp_path: Path) -> None:
    stalled = [record(30 + number / 1000, 1.0, stages=(0.001, 0.9, 0.004, 0.0005, 0.0005)) for number in range(10)]
    records = [record(number / 10, 0.012, stages=REPORTED_STAGES) for number in range(600)]
    chart = charts.stages_over_time(summary_of(tmp_path / "r.bin", records + stalled).timeline)
    assert chart.layout.yaxis.range[1] == pytest.approx(24, rel=0.01)
    assert [bar.name for bar in chart.data] == [*STAGES, "network + client"]


def test_percentile_curve_ends_with_the_longest(tmp_path: Path) -> None:
    records = [*steady(999), record(9.995, 0.5), *(record(0.001, 0.001, code="RESOURCE_EXHAUSTED") for _ in range(4))]
    planned, service, refused = charts.percentile_curves(summary_of(tmp_path / "r.bin", records).total).data
    assert (planned.x[0], refused.x[0]) == (1, 1)
    assert planned.x[-1] >= 1000
    assert planned.y[-1] == service.y[-1] == pytest.approx(500, rel=0.001)
    assert refused.y[-1] == pytest.approx(1, rel=0.001)


def test_peaks_of_a_long_run_are_drawn(tmp_path: Path) -> None:
    lags = [vitals(seconds=number / 2, loop_lag_seconds=0.3 if number == 1234 else 0.001) for number in range(1, 3001)]
    lag, *_ = health_charts.vitals_over_time(summary_of(tmp_path / "r.bin", steady(), reports=lags).runs).data
    assert len(lag.x) <= MOST_POINTS
    assert max(lag.y) == pytest.approx(300)


def test_codes_have_the_same_colours_in_the_servers_metrics_as_in_the_outcomes() -> None:
    handled = 'grpc_server_handled_total{{grpc_code="{}",grpc_method="Search"}}'
    codes = {"OK": 30.0, "ResourceExhausted": 3.0, "Internal": 1.0}
    scrapes = [
        {"seconds": float(second), "samples": {handled.format(code): rate * second for code, rate in codes.items()}}
        for second in range(4)
    ]
    lines = {each.name: each.line.color for each in health_charts.server_over_time(scrapes).data}
    assert lines == {
        "calls that ended OK": GREEN,
        "calls that ended ResourceExhausted": ORANGE,
        "calls that ended Internal": RED,
    }


def test_server_metrics_continue_across_a_restart_and_a_failed_scrape() -> None:
    counted = {1: 10.0, 2: 12.0, 4: 16.0, 5: 1.0, 6: 3.0}
    scrapes: list[dict[str, Any]] = [
        {"seconds": float(second), "samples": {"process_cpu_seconds_total": counter}}
        for second, counter in counted.items()
    ]
    scrapes.insert(2, {"seconds": 3.0, "error": "timed out"})
    [cpu] = health_charts.server_over_time(scrapes).data
    assert list(cpu.x) == [2, 4, 5, 6]
    assert list(cpu.y) == pytest.approx([2, 2, math.nan, 2], nan_ok=True)
    assert not health_charts.has_server_panels([{"seconds": 1.0, "samples": {"go_goroutines": 5.0}}])


def test_gaps_in_a_chart_are_valid_json(tmp_path: Path) -> None:
    restarted = [scrape(1), scrape(2), scrape(1) | {"seconds": 3.0}, scrape(3) | {"seconds": 4.0}]
    records = [*steady(), record(9.0, 0.012)]
    page = page_of(tmp_path / "r.bin", records, reports=[vitals()], metrics=restarted)
    data = re.findall(r'<script type="application/json">(.*?)</script>', page)
    assert len(data) == page.count('class="chart"')
    for each in data:
        json.loads(each, parse_constant=pytest.fail)
