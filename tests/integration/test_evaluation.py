"""`python -m export evaluate --server`: the measures of a running server."""

import json
from pathlib import Path

import pytest

from sample.server_process import ServerProcess, running_server
from tests.conftest import SAMPLE_CATALOGUE, SAMPLE_QUERIES, server_flags
from tests.export.command_line import assert_one_line, export

TOKEN = "search-token-0123456789"

SAMPLE = ("--catalogue", SAMPLE_CATALOGUE, "--queries", SAMPLE_QUERIES)


@pytest.mark.slow
def test_a_server_measures_as_its_bundle(default_server: ServerProcess, default_bundle: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    flags = ("--server", default_server.address, "--bundle", default_bundle, "--bm25", "none", "--json", report)
    run = export("evaluate", *SAMPLE, *flags, "--eval-queries", "100")
    assert run.returncode == 0, run.stderr
    content = json.loads(report.read_text())
    systems = {each["system"]: each["figures"] for each in content["systems"]}
    assert len(systems) == 6
    for mode in ("DENSE", "LEXICAL", "HYBRID"):
        remote, local = systems[f"{mode} ({default_server.address})"], systems[mode]
        for one, other in zip(remote, local, strict=True):
            # The server interprets some queries, and the bundle does not.
            assert one["value"] == pytest.approx(other["value"], abs=0.03), (mode, one["measure"])


def test_a_server_with_other_documents_is_an_error(tiny_server: ServerProcess, tmp_path: Path) -> None:
    catalogue, queries = tmp_path / "c.jsonl", tmp_path / "q.jsonl"
    catalogue.write_text('{"id": "nowhere-else", "title": "aaa"}\n')
    queries.write_text('{"query": "aaa", "language": "en", "relevant": ["nowhere-else"]}\n')
    run = export("evaluate", "--server", tiny_server.address, "--catalogue", catalogue, "--queries", queries)
    assert_one_line(run, "has none of the documents: import the catalogue that is evaluated")


def test_a_query_that_the_server_refuses_counts_as_unanswered(tiny_server: ServerProcess, tmp_path: Path) -> None:
    queries = tmp_path / "q.jsonl"
    lines = [
        json.dumps({"query": text, "language": "en", "relevant": ["electricity-bill"]}) for text in ("card", "x" * 9000)
    ]
    queries.write_text("\n".join(lines))
    flags = ("--server", tiny_server.address, "--bm25", "none", "--mode", "lexical")
    run = export("evaluate", *flags, "--catalogue", SAMPLE_CATALOGUE, "--queries", queries)
    assert run.returncode == 0, run.stderr
    assert "LEXICAL: refused 1 queries, which count as unanswered" in run.stdout


def test_a_report_says_that_a_server_has_no_labels(tiny_server: ServerProcess, tmp_path: Path) -> None:
    labels = tmp_path / "labels.jsonl"
    labels.write_text('{"query": "paying for power", "language": "en", "relevant": ["electricity-bill"]}\n')
    flags = ("--server", tiny_server.address, "--bm25", "words", "--mode", "lexical", "--labels", labels)
    run = export("evaluate", *SAMPLE, *flags)
    assert run.returncode == 0, run.stderr
    assert "LEXICAL: has no labels, since a server's documents stay as they are" in run.stdout
    assert "BM25 words + labels" in run.stdout


def test_a_token_is_sent_and_its_lack_is_one_line(tiny_bundle: Path, tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text(f"search app {TOKEN}\n")
    flags = server_flags(tiny_bundle, SAMPLE_CATALOGUE, "--tokens", str(tokens))
    with running_server(flags) as server:
        asked = ("evaluate", *SAMPLE, "--server", server.address, "--bm25", "none", "--mode", "lexical")
        assert_one_line(export(*asked), "UNAUTHENTICATED")
        run = export(*asked, "--token", TOKEN)
        assert run.returncode == 0, run.stderr


@pytest.mark.parametrize(("address", "message"), [("localhost:1", "does not answer"), ("a b", "--server a b: ")])
def test_a_server_that_cannot_be_reached_is_one_line(address: str, message: str) -> None:
    assert_one_line(export("evaluate", *SAMPLE, "--server", address, "--bm25", "none"), message)
