import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from loadtest.analysis.objective import judge_objectives, parse_objective
from loadtest.analysis.summary import Summary, summarize
from loadtest.digits import four_digits
from loadtest.reports.cells import milliseconds, with_unit
from loadtest.reports.csv import requests_csv, timeline_csv
from loadtest.reports.json import json_report
from loadtest.reports.table import Table
from loadtest.reports.tables import messages_table
from loadtest.reports.text import markdown_report, markdown_table, text_report, text_table
from tests.loadtest.results_files import record, vitals, write_run

STAGES = (0.001, 0.002, 0.003, 0.001, 0.001)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    packed = [
        record(number / 50, 0.010, stages=STAGES, batch_texts=2, same=1, quality=(0.5, 0.25)) for number in range(100)
    ]
    packed += [record(-0.5)]
    packed += [record(1.0, 0.002, code="RESOURCE_EXHAUSTED"), record(1.5, 0.3, code="UNAVAILABLE")]
    return write_run(tmp_path / "run.bin", packed, reports=[vitals(seconds=2.0)], seconds=2.0)


def test_the_text_has_the_verdict_and_every_table(path: Path) -> None:
    summary = summarize([path], within_seconds=0.05)
    verdicts = judge_objectives([parse_objective("p99<5ms")], summary)
    lines = text_report(summary, verdicts).splitlines()
    assert lines[0].startswith("The generator kept to its plan: 0 of 102 sends late")
    cells = [line.split() for line in lines]
    assert ["offered", "102", "51.0"] in cells
    assert ["OK", "100", "98.04%"] in cells
    assert ["refused", "(RESOURCE_EXHAUSTED)", "1", "0.98%"] in cells
    assert ["OK,", "service", "time", "100", *["10.0"] * 8] in cells
    assert ["encode", "100", *["3.00"] * 8] in cells
    assert ["network", "+", "client", "100", *["2.00"] * 8] in cells
    assert ["recall@10", "0.5000", "100", "labelled", "answers"] in cells
    assert ["p99<5ms", "NOT", "MET", "10", "ms"] in cells
    assert ["warm-up", "requests,", "not", "counted", "1"] in cells


@pytest.mark.parametrize(
    ("packed", "vital", "first"),
    [
        ([record(late=0.01)] * 5, {}, "GENERATOR SATURATED: 100.0% of sends were late"),
        ([record()], {"dropped": 3}, "NOT ALL WAS SENT: 3 of 4 requests were dropped"),
        ([], {}, "NOTHING WAS SENT"),
    ],
)
def test_the_first_line_is_the_verdict(tmp_path: Path, packed: list[bytes], vital: dict[str, int], first: str) -> None:
    path = write_run(tmp_path / "run.bin", packed, reports=[vitals(**vital)])
    assert text_report(summarize([path]), []).startswith(first)


def test_the_plan_is_written_for_people(tmp_path: Path) -> None:
    calls = [
        {"method": "S/A", "weight": 3.0, "payload": None, "queries_per_call": 1},
        {"method": "S/B", "weight": 1.0, "payload": {"limit": 3}, "queries_per_call": 5},
    ]
    path = write_run(tmp_path / "run.bin", [record()], calls=calls, rates=[[10, 50, 90], [None, 90, 90]])
    lines = [" ".join(line.split()) for line in text_report(summarize([path]), []).splitlines()]
    assert 'calls S/A, 75.0% of the calls; S/B, 25.0% of the calls, 5 queries each, payload {"limit": 3}' in lines
    assert "rates 50/s to 90/s for 10 s, 90/s" in lines


def test_the_plan_is_written_without_what_was_not_set(tmp_path: Path) -> None:
    target = {"address": "host:1", "tls": False, "headers": ["authorization"], "compression": ""}
    path = write_run(
        tmp_path / "run.bin", [record()], target=target, headers=["x-id"], seed=0, error_fields=None, metrics_url=""
    )
    environment = text_report(summarize([path]), []).partition("Environment and plan\n")[2]
    rows = dict(
        row.split(maxsplit=1) for row in environment.splitlines() if row.split()[0] in ("target", "headers", "seed")
    )
    assert rows == {"target": "address host:1", "headers": "authorization, x-id", "seed": "0"}
    assert not {"error fields", "metrics url", "count"} & {row.strip() for row in environment.splitlines()}


def test_messages_that_differ_in_numbers_are_one_row(tmp_path: Path) -> None:
    said = [f"overloaded: a call would wait {wait}.5 ms" for wait in (440, 350)]
    said += [
        f"no order {uuid}" for uuid in ("8336945e-819d-459e-a6f7-a59db061b832", "2e07e016-595f-440e-b8a4-e9ca189971ac")
    ]
    said += ["no order of 7", "bad face"]
    reports = [vitals(messages=[[13, message, 2] for message in said])]
    path = write_run(tmp_path / "run.bin", [record(code="INTERNAL")], reports=reports)
    table = messages_table(summarize([path]))
    assert list(table.rows) == [
        ("INTERNAL", "4", "overloaded: a call would wait … ms"),
        ("INTERNAL", "4", "no order …"),
        ("INTERNAL", "2", "no order of 7"),
        ("INTERNAL", "2", "bad face"),
    ]
    assert len(json.loads(json_report(summarize([path]), []))["messages"]) == len(said)


def test_markdown_has_the_same_tables(path: Path) -> None:
    summary = summarize([path])
    markdown = markdown_report(summary, [])
    assert markdown.startswith("**The generator kept to its plan")
    assert "| OK, service time | 100 | 10.0 |" in markdown
    assert markdown_table(Table("t", ("a", "b"), [("x|y", "1")])) == "| a | b |\n|---|---:|\n| x\\|y | 1 |"


def test_columns_are_aligned_by_terminal_width() -> None:
    table = Table("t", ("", "n"), [("검색", "1"), ("find", "23")])
    assert text_table(table).splitlines()[2:] == ["  검색  1", "  find  23"]
    numbers = Table("t", ("", "n", "m"), [("a", "1", "2"), ("b", "10", "20")])
    assert text_table(numbers).splitlines()[2:] == ["  a   1   2", "  b  10  20"]


def test_json_has_only_valid_values(path: Path, tmp_path: Path) -> None:
    def parsed(summary: Summary) -> dict[str, object]:
        def refuse(constant: str) -> None:
            raise AssertionError(constant)

        report: dict[str, object] = json.loads(json_report(summary, []), parse_constant=refuse)
        return report

    report = parsed(summarize([path]))
    assert report["requests"] == {
        "planned": 102, "sent": 102, "ok": 100, "goodput": 100, "refused": 1, "unanswered": 0, "dropped": 0, "late": 0,
        "warm_up": 1, "error_share": pytest.approx(2 / 102),
    }  # fmt: skip
    assert parsed(summarize([write_run(tmp_path / "empty.bin", [])]))["seconds"] == 10.0


def test_csv_has_a_line_per_second_or_per_request(path: Path) -> None:
    seconds = list(csv.DictReader(io.StringIO(timeline_csv(summarize([path])))))
    counts = [(row["second"], row["OK"], row["RESOURCE_EXHAUSTED"]) for row in seconds]
    assert counts == [("0", "50", "0"), ("1", "50", "1")]
    assert float(seconds[0]["encode_seconds"]) == pytest.approx(0.003)
    requests = list(csv.DictReader(io.StringIO("".join(requests_csv([path])))))
    assert len(requests) == 103
    assert {row["code"] for row in requests} == {"OK", "RESOURCE_EXHAUSTED", "UNAVAILABLE"}
    assert requests[-1]["encode_seconds"] == ""


def test_a_last_column_of_sentences_is_aligned_to_the_left() -> None:
    rows = [("1/s", "2", "met"), ("10/s", "30", "not met: p99<1ms")]
    lines = text_table(Table("t", ("rate", "n", "verdict"), rows, sentences=True)).splitlines()
    assert lines == ["t", "  rate   n  verdict", "  1/s    2  met", "  10/s  30  not met: p99<1ms"]


def test_numbers_have_four_digits_and_no_exponent() -> None:
    written = [four_digits(value) for value in (0.0, 0.12345, 22.2857, 999.94, 999.96, 10_010.4, 1.5e7)]
    assert written == ["0", "0.1235", "22.29", "999.9", "1,000", "10,010", "15,000,000"]


def test_durations_of_flags_are_written_as_given() -> None:
    assert [with_unit(seconds) for seconds in (10.0, 3600.0, 0.05, 0.0025)] == ["10 s", "3,600 s", "50 ms", "2.5 ms"]


def test_durations_have_three_digits() -> None:
    written = [milliseconds(seconds) for seconds in (float("nan"), 0.00001234, 0.001234, 0.01234, 0.1234, 12.34)]
    assert written == ["-", "0.012", "1.23", "12.3", "123", "12,340"]


def test_several_files_are_one_report(path: Path, tmp_path: Path) -> None:
    other = write_run(
        tmp_path / "other.bin", [record(number / 50) for number in range(100)], started=2000.0, seconds=2.0
    )
    summary = summarize([path, other])
    assert "2; this table shows the first" in text_report(summary, [])
    assert "| OK, service time | 200 | 10.0 |" in markdown_report(summary, [])


@pytest.mark.parametrize("report", [text_report, markdown_report])
def test_a_servers_message_controls_neither_the_terminal_nor_the_table(tmp_path: Path, report: Any) -> None:
    message = "one\n\x1b[2Jtwo|<b>\u202e 카드"
    path = write_run(tmp_path / "run.bin", [record(code="INTERNAL")], reports=[vitals(messages=[[13, message, 1]])])
    summary = summarize([path])
    summary.runs[0].end["partial"] = message
    [partial, row] = [line for line in report(summary, []).splitlines() if "two" in line]
    for line in (partial, row):
        assert "one\\n\\x1b[2Jtwo|<b>\\u202e 카드" in line.replace(r"\|", "|").replace(r"\<", "<")
    if report is markdown_report:
        assert r"two\|\<b>" in row
