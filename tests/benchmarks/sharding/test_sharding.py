import subprocess
import sys

import pytest

from sample.server_process import REPOSITORY


@pytest.mark.slow
def test_shards_of_made_documents_answer_as_one_index_also_while_they_change() -> None:
    command = [sys.executable, "-m", "benchmarks.sharding", "--documents", "400", "--queries", "12", "--shards", "3"]
    run = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=200, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "3 shards, HYBRID     36 of 36 answers are equal" in run.stdout
    assert "3 shards, HYBRID     12 of 12 answers are equal" in run.stdout
    assert run.stdout.count("of the 10 best documents") == 1
