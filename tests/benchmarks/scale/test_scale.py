import json
import subprocess
import sys
from pathlib import Path

import pytest

from sample.server_process import REPOSITORY
from tests.tiny_bundle import make_bundle

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


def test_a_size_is_measured_with_all_its_figures(tmp_path: Path) -> None:
    bundle, out = make_bundle(tmp_path / "bundle"), tmp_path / "bench.json"
    command = [sys.executable, "-m", "benchmarks.scale", "--only", "12000", "--bundle", str(bundle)]
    command += ["--kept", str(tmp_path / "kept"), "--json", str(out)]
    run = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=200, check=False)
    assert run.returncode == 0, run.stderr
    figures = {each["name"]: each["median"] for each in json.loads(out.read_text())["figures"]["12000"]}
    assert figures["recall@10"] > 0.9
    assert figures["build"] > 0
    assert [value for name, value in figures.items() if name.startswith("filter") and "recall" in name] == [1, 1, 1]


def test_a_shard_is_measured_with_all_that_the_simulation_reads(tmp_path: Path) -> None:
    bundle, out = make_bundle(tmp_path / "bundle"), tmp_path / "shards.json"
    command = [sys.executable, "-m", "benchmarks.scale.shard", "--sizes", "500", "--searches", "20"]
    command += ["--bundle", str(bundle), "--kept", str(tmp_path / "kept"), "--json", str(out)]
    run = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=200, check=False)
    assert run.returncode == 0, run.stderr
    shard = json.loads(out.read_text())["shards"][0]
    assert shard["vectors"] == 500
    assert shard["recall"] == 1  # So few vectors have no graph.
    command = [sys.executable, "-m", "benchmarks.simulation", "--shards", str(out), "--vectors", "5000"]
    run = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=200, check=False)
    assert run.returncode == 0, run.stderr
    assert "5e+03 | 10 ×" in run.stdout


@pytest.mark.parametrize("flags", [["--bundle", "missing"], ["--json", "missing/shards.json"]])
def test_a_shard_that_cannot_be_measured_or_written_is_one_line(flags: list[str], tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.scale.shard", "--kept", str(tmp_path), *flags]
    run = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=200, check=False)
    assert run.returncode == 1
    assert run.stderr.startswith("error: missing")
    assert run.stderr.count("\n") == 1
