import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.bulk.measuring import write_documents
from benchmarks.serving.queries import shuffled_queries
from benchmarks.serving.setting import QUERIES
from sample.server_process import REPOSITORY
from server.catalogue.catalogue import load_catalogue
from tests.postgresql import programs


def test_the_documents_are_distinct(tmp_path: Path) -> None:
    queries = shuffled_queries(QUERIES)
    documents = load_catalogue(write_documents(tmp_path / "c.jsonl", queries, count=2 * len(queries)))
    assert len({(document.title, document.text) for document in documents}) == 2 * len(queries)


@pytest.mark.slow
def test_the_program_compares_runs(tmp_path: Path, tiny_bundle: Path) -> None:
    programs()
    file = tmp_path / "figures.json"
    flags = ["--bundle", str(tiny_bundle), "--documents", "6000", "--json", str(file)]
    command = [sys.executable, "-m", "benchmarks.bulk", *flags]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=230, check=False)
    assert done.returncode in (0, 1), done.stderr
    figures = {figure["name"]: figure["median"] for figure in json.loads(file.read_text())["figures"]}
    assert figures["stores that differ from that of one worker"] == 0
    assert figures["two workers against one"] > 0
