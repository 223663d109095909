import subprocess
import sys
from pathlib import Path

import pytest

from loadtest.analysis.summary import summarize
from sample.server_process import REPOSITORY
from tests.loadtest.integration.attacks import SUCCESSFUL


@pytest.mark.slow
def test_the_standard_load_test_leaves_a_report(tiny_bundle: Path, tmp_path: Path) -> None:
    flags = ["--bundle", str(tiny_bundle), "--own-server", "--rate", "60", "--duration", "2s", "--out", str(tmp_path)]
    command = [sys.executable, "-m", "sample.load", *flags]
    run = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode in SUCCESSFUL, run.stdout + run.stderr
    summary = summarize([tmp_path / "results.bin"])
    assert summary.planned == pytest.approx(120, rel=0.4)
    assert summary.quality.labelled == summary.total.ok.count > 0
    assert summary.total.cached_share == 0
    assert len(summary.runs[0].metrics) >= 3
    assert "<html" in (tmp_path / "report.html").read_text(encoding="utf-8")
