import contextlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.store import measuring
from sample.server_process import REPOSITORY
from server.catalogue.store import Store
from tests.postgresql import Cluster, programs


def test_both_databases_are_measured(tmp_path: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "SINGLE_DOCUMENTS", 3)
    monkeypatch.setattr(measuring, "GROUPS", 1)
    for place in (tmp_path, cluster.new_database()):
        with contextlib.closing(Store(place)) as store:
            assert all(value > 0 for value in measuring.measure_store(store))
            assert len(store) == 3 + measuring.GROUP_DOCUMENTS


@pytest.mark.slow
def test_the_program_prints_both_side_by_side(tmp_path: Path, tiny_bundle: Path) -> None:
    programs()
    file = tmp_path / "figures.json"
    flags = ["--bundle", str(tiny_bundle), "--repeats", "1", "--seconds", "1", "--json", str(file)]
    command = [sys.executable, "-m", "benchmarks.store", *flags]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode in (0, 1), done.stderr
    names = [figure["name"] for figure in json.loads(file.read_text())["figures"]]
    assert names.count("one document written, p50") == 3
    assert {"SQLite: import against the encoder", "PostgreSQL: import against the encoder"} <= set(names)
    assert all(name in done.stdout for name in names)
