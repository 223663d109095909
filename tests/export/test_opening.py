import subprocess
import sys
from pathlib import Path

import pytest

from export.errors import ExportError
from export.opening import opening_step
from sample.server_process import REPOSITORY


def test_the_step_that_opens_a_model_says_where_it_comes_from(tmp_path: Path) -> None:
    assert opening_step("all-MiniLM-L6-v2") == "opening all-MiniLM-L6-v2, or downloading it"
    packaged = "the packaged models are multilingual-e5-small and all-MiniLM-L6-v2"
    assert opening_step("all-MiniLM-L6") == f"downloading all-MiniLM-L6 from the model hub; {packaged}"
    assert opening_step("owner/model") == "downloading owner/model from the model hub"
    with pytest.raises(ExportError, match="there is no directory"):
        opening_step(str(tmp_path / "missing"))


@pytest.mark.slow
def test_a_fresh_process_opens_a_packaged_model() -> None:
    """It imports the libraries while it finds the model; the tests in this process have imported them already."""
    code = "from export.source import SourceModel; print(SourceModel('all-MiniLM-L6-v2').dimension)"
    run = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout) == (0, "384\n"), run.stderr
