import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.contenders import CONTENDERS, FP32, NATIVE, PACKED, STOCK, TORCH
from sample.server_process import REPOSITORY
from server.encoding.native.library import cpu_can_run
from tests.export.command_line import TINY_CORPUS
from tests.export.tiny_models import plain_bert

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks.encoding", *arguments]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=200, check=False)


def test_all_forms_of_a_model_are_compared(tmp_path: Path) -> None:
    out = tmp_path / "bench.json"
    model = ["--model", str(plain_bert(tmp_path / "model")), "--eval", str(TINY_CORPUS)]
    run = bench(*model, "--query-prefix", "q ", "--texts", "8", "--rounds", "1", "--json", str(out))
    assert run.returncode == 0, run.stderr
    result = json.loads(out.read_text(encoding="utf-8"))
    rows = {row["name"]: row for row in result["contenders"]}
    assert set(rows) == {name for name in CONTENDERS if name != NATIVE or cpu_can_run()}
    assert all(rows[name]["cosine_min"] > 0.9999 for name in (TORCH, FP32))
    assert all(rows[name]["cosine_min"] > 0.98 for name in set(rows) & {STOCK, PACKED, NATIVE})
    assert all(row["texts_per_second"] > 0 < row["peak_bytes"] for row in rows.values())
    ours = rows[NATIVE if cpu_can_run() else PACKED]
    assert result["ours"] == ours["name"]
    assert result["times_stock"] == round(ours["texts_per_second"] / rows[STOCK]["texts_per_second"], 2)
    assert f"{ours['name']}: {result['times_stock']:.2f} × stock INT8" in run.stdout


def test_an_error_is_one_line() -> None:
    run = bench("--model", "./nowhere")
    assert (run.returncode, run.stderr) == (1, "bench: error: there is no directory ./nowhere\n")
