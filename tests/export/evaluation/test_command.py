import json
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests.export.command_line import assert_one_line, export


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    catalogue, queries = tmp_path / "c.jsonl", tmp_path / "q.jsonl"
    catalogue.write_text(
        '{"id": "a", "title": "aaaa"}\n{"id": "b", "title": "bbbb"}\n{"id": "g", "title": "가가"}\n', encoding="utf-8"
    )
    queries.write_text(
        '{"query": "aaab", "language": "en", "relevant": ["a"]}\n'
        '{"query": "abbb", "language": "EN", "relevant": ["a"]}\n'
        '{"query": "가나가", "language": "ko", "relevant": ["g"]}\n',
        encoding="utf-8",
    )
    return ["--catalogue", str(catalogue), "--queries", str(queries)]


def evaluated(tiny_bundle: Path, *arguments: str) -> CompletedProcess[str]:
    return export("evaluate", "--bundle", tiny_bundle, *arguments)


def test_each_mode_is_measured(tiny_bundle: Path, files: list[str], tmp_path: Path) -> None:
    report, page = tmp_path / "report.json", tmp_path / "report.html"
    table = evaluated(tiny_bundle, *files, "--json", str(report), "--html", str(page)).stdout
    assert page.read_text().startswith("<!doctype html>")
    assert "q.jsonl: 3 queries, 3 documents" in table
    assert "DENSE         0.667  1.000  1.000  1.000   0.833" in table
    content = json.loads(report.read_text())
    assert [each["system"] for each in content["systems"]] == [
        *("DENSE", "LEXICAL", "HYBRID"),
        *("BM25 words", "BM25 bigrams"),
    ]
    second = content["by_query"][1]
    assert second["query"] == "abbb"
    assert second["systems"]["DENSE"]["found"][:2] == ["b", "a"]
    assert second["systems"]["DENSE"]["measures"]["MRR@10"] == 0.5


def test_sizes_of_passages_are_compared(tiny_bundle: Path, tmp_path: Path) -> None:
    catalogue, queries, report = tmp_path / "c.jsonl", tmp_path / "q.jsonl", tmp_path / "report.json"
    catalogue.write_text(
        '{"id": "long", "text": "aaaaaaaa bbbbbbbb cccccccc dddddddd"}\n{"id": "short", "text": "ddcc"}\n',
        encoding="utf-8",
    )
    queries.write_text('{"query": "dddddddd", "language": "en", "relevant": ["long"]}\n', encoding="utf-8")
    files = ["--catalogue", str(catalogue), "--queries", str(queries), "--json", str(report)]
    sizes = ["--passage-tokens", "0,8", "--passage-overlap-tokens", "0"]
    table = evaluated(tiny_bundle, *files, "--mode", "dense", "--bm25", "none", *sizes).stdout
    assert "DENSE (0 tokens)  0.000" in table
    assert "DENSE (8 tokens)  1.000" in table


def test_labels_become_example_queries_of_further_systems(tiny_bundle: Path, files: list[str], tmp_path: Path) -> None:
    labels = tmp_path / "l.jsonl"
    lines = [f'{{"query": "{text}", "language": "en", "relevant": ["a"]}}' for text in ("abbbb", "abb", "bbba")]
    labels.write_text("\n".join(lines))
    table = evaluated(tiny_bundle, *files, "--mode", "dense", "--bm25", "none", "--labels", str(labels)).stdout
    assert "DENSE           0.667" in table
    assert "DENSE + labels  1.000" in table


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (
            ["--baseline", "BM24"],
            "--baseline BM24: there is no such system; there are DENSE, LEXICAL, HYBRID, BM25 words",
        ),
        (["--json", "/nowhere/report.json"], "/nowhere/report.json cannot be written"),
        (["--json", "/dev/null"], "/dev/null cannot be written"),
        (["--dev", "/nowhere/dev.jsonl"], "/nowhere/dev.jsonl cannot be read"),
    ],
)
def test_an_error_is_one_line(tiny_bundle: Path, files: list[str], more: list[str], message: str) -> None:
    run = evaluated(tiny_bundle, *files, *more)
    assert run.returncode == 1
    (line,) = [each for each in run.stderr.splitlines() if "error" in each]
    assert message in line
    assert run.stdout == ""


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--bundle", "b"], "set --catalogue and --queries, or --eval"),
        (["--bundle", "b", "--catalogue", "c"], "set --catalogue and --queries, or --eval"),
        (["--eval", "d", "--queries", "q"], "set --catalogue and --queries, or --eval"),
        (["--eval", "d"], "set --bundle or --server"),
        (["--bundle", "b", "--eval", "d", "--tls"], "--tls, --ca, --cert and --key need --server"),
        (["--bundle", "b", "--eval", "d", "--json", "r", "--html", "./r"], "--html and --json overlap"),
        (["--bundle", "b", "--catalogue", "c", "--queries", "q", "--json", "q"], "--json and --queries overlap"),
        (["--bundle", "b", "--eval", "d", "--json", "d/queries.jsonl"], "--json and --eval overlap"),
        (["--bundle", "b", "--eval", "d", "--json", "b/manifest.json"], "--json and --bundle overlap"),
        (["--bundle", "b", "--eval", "d", "--worst", "-1"], "--worst is a number, 0 or more"),
        (["--server", "s:1", "--eval", "d", "--cert", "c"], "--cert and --key go together"),
        (["--server", "s:1", "--eval", "d", "--model", "m"], "--model is the original of one --bundle"),
        (["--server", "s:1", "--eval", "d", "--bm25", "none", "--labels", "l"], "--labels needs --bundle or --bm25"),
        (["--bundle", "b", "--bundle", "b", "--eval", "d"], "--bundle names the same directory twice"),
        (["--bundle", "b", "--eval", "d", "--bm25", "nouns"], "'nouns' is none of words, bigrams, kiwi and none"),
        (["--bundle", "b", "--eval", "d", "--passage-tokens", "0,x"], "expected a whole number"),
        (["--bundle", "b", "--eval", "d", "--document-model", "m"], "--document-model needs --model"),
        (["--bundle", "b", "--catalogue", "c", "--queries", "q", "--split", "dev"], "need --eval"),
    ],
)
def test_flags_that_do_not_fit_are_errors(flags: list[str], message: str) -> None:
    assert_one_line(export("evaluate", *flags), message, code=2)


def test_a_report_is_left_as_it_was_after_an_error(tiny_bundle: Path, files: list[str], tmp_path: Path) -> None:
    report, queries = tmp_path / "report.json", Path(files[3])
    report.write_text("old")
    queries.write_text('{"query": "a", "language": "en", "relevant": ["unknown"]}\n')
    assert evaluated(tiny_bundle, *files, "--json", str(report)).returncode == 1
    assert report.read_text() == "old"
