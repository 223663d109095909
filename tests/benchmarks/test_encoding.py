from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.contenders import CONTENDERS, NATIVE, PACKED, STOCK, TORCH
from sample.server_process import REPOSITORY
from server.encoding.native.library import cpu_can_run

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


def test_all_forms_of_the_model_are_measured_beside_each_other(tmp_path: Path) -> None:
    out = tmp_path / "bench.json"
    command = [sys.executable, "-m", "benchmarks.encoding", "--model", "all-MiniLM-L6-v2"]
    command += ["--query-prefix", "query: ", "--texts", "24", "--rounds", "1", "--json", str(out)]
    run = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=200, check=False)
    assert run.returncode == 0, run.stderr
    result = json.loads(out.read_text(encoding="utf-8"))
    assert set(result["languages"]) == {"ko", "en"}
    rows = {row["name"]: row for row in result["contenders"]}
    assert set(rows) == {name for name in CONTENDERS if name != NATIVE or cpu_can_run()}
    for name in set(rows) & {PACKED, NATIVE}:
        assert rows[name]["cosine_min"] > 0.99 > rows[STOCK]["cosine_min"]
        assert rows[name]["peak_bytes"] < 250_000_000
    assert rows[TORCH]["cosine_min"] > 0.9999
    ours = rows[NATIVE if cpu_can_run() else PACKED]
    assert result["ours"] == ours["name"]
    assert result["times_stock"] == round(ours["texts_per_second"] / rows[STOCK]["texts_per_second"], 2)
    assert f"{ours['name']}: {result['times_stock']:.2f} × stock INT8" in run.stdout
    if cpu_can_run():
        assert rows[NATIVE]["texts_per_second"] > rows[STOCK]["texts_per_second"]
        assert result["product_shares"][NATIVE] > 0.3


def test_what_cannot_be_measured_is_one_line() -> None:
    command = [sys.executable, "-m", "benchmarks.encoding", "--model", "./nowhere"]
    run = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=100, check=False)
    assert run.returncode == 1
    assert run.stderr == "bench: error: there is no directory ./nowhere\n"
