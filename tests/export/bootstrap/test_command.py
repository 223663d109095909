import csv
import io
import json
from pathlib import Path

import pytest

from export.labelled_queries import load_labelled_queries
from server.catalogue.catalogue import load_catalogue
from tests.export.command_line import assert_one_line, export


@pytest.fixture
def catalogue(tmp_path: Path) -> Path:
    path = tmp_path / "c.jsonl"
    path.write_text(
        '{"id": "a", "title": "aaaa bbbb", "text": "Pay aaaa in the app."}\n'
        '{"id": "b", "title": "cccc dddd", "examples": ["dddd"]}\n'
        '{"id": "c", "title": "CCCC dddd", "examples": ["dddd"]}\n',
        encoding="utf-8",
    )
    return path


@pytest.fixture
def queries(tmp_path: Path) -> Path:
    path = tmp_path / "q.txt"
    path.write_text("aaab\n=cccd\n", encoding="utf-8")
    return path


def test_findings_are_lines_and_json(tiny_bundle: Path, catalogue: Path, tmp_path: Path) -> None:
    report = tmp_path / "findings.json"
    run = export("bootstrap", "check", "--bundle", tiny_bundle, "--catalogue", catalogue, "--json", report)
    assert run.returncode == 0, run.stderr
    assert "duplicate: b, c: same titles and texts, 'cccc dddd': keep one of them" in run.stdout
    assert "shared example: b, c: share the example 'dddd'" in run.stdout
    content = json.loads(report.read_text(encoding="utf-8"))
    assert content["documents"] == 3
    assert len(content["findings"]) == len(run.stdout.splitlines()) - 1
    assert content["findings"][0]["check"] == "duplicate"


def test_strict_turns_findings_into_an_error(tiny_bundle: Path, catalogue: Path, tmp_path: Path) -> None:
    run = export("bootstrap", "check", "--bundle", tiny_bundle, "--catalogue", catalogue, "--strict")
    assert_one_line(run, f"findings in {catalogue}: correct them, or leave out --strict")
    assert "duplicate: b, c" in run.stdout
    clean = tmp_path / "clean.jsonl"
    clean.write_text('{"id": "a", "title": "aaaa"}\n')
    assert export("bootstrap", "check", "--bundle", tiny_bundle, "--catalogue", clean, "--strict").returncode == 0


def test_queries_are_written_with_their_kinds(tiny_bundle: Path, catalogue: Path, tmp_path: Path) -> None:
    out = tmp_path / "synthetic.jsonl"
    flags = ("bootstrap", "queries", "--bundle", tiny_bundle, "--catalogue", catalogue, "--out", out)
    run = export(*flags, "--kinds", "title,question")
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines()[0].split() == ["kind", "made", "kept", "documents"]
    read = load_labelled_queries(out, load_catalogue(catalogue))
    assert {each.kind for each in read} <= {"title", "question"}
    assert ["a"] in [each.relevant for each in read]
    before = out.read_bytes()
    assert_one_line(export(*flags), f"{out} already exists and is not overwritten: choose another name")
    assert out.read_bytes() == before


def test_evaluate_divides_synthetic_queries_by_kind(tiny_bundle: Path, catalogue: Path, tmp_path: Path) -> None:
    out = tmp_path / "synthetic.jsonl"
    inputs = ("--bundle", tiny_bundle, "--catalogue", catalogue)
    assert export("bootstrap", "queries", *inputs, "--out", out, "--kinds", "title,part").returncode == 0
    run = export("evaluate", *inputs, "--queries", out, "--bm25", "none")
    assert run.returncode == 0, run.stderr
    assert "R@1 by kind of query" in run.stdout


def test_no_query_that_passes_is_an_error_and_no_file(tiny_bundle: Path, catalogue: Path, tmp_path: Path) -> None:
    out, copies = tmp_path / "synthetic.jsonl", tmp_path / "copies.jsonl"
    copies.write_text('{"id": "a", "title": "aaaa"}\n{"id": "b", "title": "aaaa"}\n')
    run = export("bootstrap", "queries", "--bundle", tiny_bundle, "--catalogue", copies, "--out", out)
    assert_one_line(run, "finds its document and only that: set --top or other --kinds")
    assert not out.exists()


def test_a_sheet_is_filled_and_becomes_labelled_queries(
    tiny_bundle: Path, catalogue: Path, queries: Path, tmp_path: Path
) -> None:
    sheet, out = tmp_path / "sheet.csv", tmp_path / "labelled.jsonl"
    inputs = ("--catalogue", catalogue, "--queries", queries)
    run = export("bootstrap", "sheet", "--bundle", tiny_bundle, *inputs, "--out", sheet)
    assert run.returncode == 0, run.stderr
    assert run.stdout == f"{sheet}: 2 queries, 6 rows to label\n"
    empty = sheet.read_bytes()
    assert_one_line(export("bootstrap", "labels", sheet, *inputs, "--out", out), "sheet.csv:2: no label; 6 of 6 rows")
    rows = list(csv.reader(io.StringIO(empty.decode("utf-8-sig"), newline="")))
    for row in rows[1:]:
        row[0] = "1" if row[1] == "aaab" and row[4] == "a" else "0"
    file = io.StringIO()
    csv.writer(file).writerows(rows)
    for name in ("sheet.csv", "second.csv"):
        (tmp_path / name).write_text(file.getvalue(), encoding="utf-8-sig")
    run = export("bootstrap", "labels", sheet, tmp_path / "second.csv", *inputs, "--out", out)
    assert run.returncode == 0, run.stderr
    assert "agree on 100.0% of 6 rows, kappa 1.00" in run.stdout
    assert "  =cccd" in run.stdout
    assert run.stdout.endswith("1 labelled queries, 1 documents\n")
    (read,) = load_labelled_queries(out, load_catalogue(catalogue))
    assert (read.query, read.relevant, read.kind) == ("aaab", ["a"], "")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "the following arguments are required: TASK"),
        (["guess"], "invalid choice: 'guess'"),
        (["check", "--catalogue", "c"], "the following arguments are required: --bundle"),
        (["check", "--bundle", "b", "--catalogue", "c", "--near", "1.5"], "expected a number above 0, at most 1"),
        (["check", "--bundle", "b", "--catalogue", "c", "--json", "./c"], "--json and --catalogue overlap"),
        (["queries", "--bundle", "b", "--catalogue", "c", "--out", "b/o"], "--out and --bundle overlap"),
        (["queries", "--bundle", "b", "--catalogue", "c", "--out", "o", "--kinds", "x"], "'x' is none of title,"),
        (["queries", "--bundle", "b", "--catalogue", "c", "--out", "o", "--top", "21"], "expected at most 20"),
        (["queries", "--bundle", "b", "--catalogue", "c", "--out", "o", "--most", "0"], "1 or more"),
        (["sheet", "--bundle", "b", "--catalogue", "c", "--out", "o"], "are required: --queries"),
        (["labels", "--catalogue", "c", "--queries", "q", "--out", "o"], "are required: SHEET"),
        (["labels", "s", "./s", "--catalogue", "c", "--queries", "q", "--out", "o"], "the same sheet is named twice"),
    ],
)
def test_flags_that_do_not_fit_are_errors(flags: list[str], message: str) -> None:
    assert_one_line(export("bootstrap", *flags), message, code=2)


@pytest.mark.parametrize("task", ["check", "queries", "sheet"])
def test_files_that_cannot_be_used_are_one_line(task: str, tiny_bundle: Path, catalogue: Path, tmp_path: Path) -> None:
    more = {"check": [], "queries": ["--out", "o"], "sheet": ["--out", "o", "--queries", "/nowhere/q.txt"]}[task]
    more = [str(tmp_path / each) if each == "o" else each for each in more]
    run = export("bootstrap", task, "--bundle", tiny_bundle, "--catalogue", "/nowhere/c.jsonl", *more)
    assert_one_line(run, "/nowhere/c.jsonl cannot be read")
    catalogue.write_text('{"id": "a", "title": " "}\n')
    run = export("bootstrap", task, "--bundle", tiny_bundle, "--catalogue", catalogue, *more)
    assert_one_line(run, f"{catalogue}:1: title is blank")
    assert not (tmp_path / "o").exists()


def test_a_bundle_that_does_not_exist_is_one_line(catalogue: Path, tmp_path: Path) -> None:
    run = export("bootstrap", "check", "--bundle", tmp_path / "none", "--catalogue", catalogue)
    assert_one_line(run, "none")


def test_a_file_in_a_missing_directory_is_refused_before_the_work(tiny_bundle: Path, catalogue: Path) -> None:
    flags = ("--bundle", tiny_bundle, "--catalogue", catalogue, "--out", "/nowhere/q.jsonl")
    assert_one_line(export("bootstrap", "queries", *flags), "/nowhere/q.jsonl cannot be written")
