from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from sample.server_process import REPOSITORY
from server.encoding.native.library import cpu_can_run
from tests.benchmarks.contenders import CONTENDERS, NATIVE, PACKED, STOCK

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


def test_all_forms_of_the_model_are_measured_beside_each_other(tmp_path: Path) -> None:
    out = tmp_path / "bench.json"
    command = [sys.executable, "-m", "tests.benchmarks.encoding", "--texts", "24", "--rounds", "1", "--json", str(out)]
    run = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=200, check=False)
    assert run.returncode == 0, run.stderr
    result = json.loads(out.read_text(encoding="utf-8"))
    rows = {row["name"]: row for row in result["contenders"]}
    assert set(rows) == {name for name in CONTENDERS if name != NATIVE or cpu_can_run()}
    for name in set(rows) & {PACKED, NATIVE}:
        assert rows[name]["cosine_min"] > 0.99 > rows[STOCK]["cosine_min"]
        assert rows[name]["peak_bytes"] < 250_000_000
    if cpu_can_run():
        assert rows[NATIVE]["texts_per_second"] > rows[STOCK]["texts_per_second"]
        assert result["product_shares"][NATIVE] > 0.3
        assert f"{NATIVE}: " in run.stdout
