import ctypes
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from export.progress import INTERVAL_SECONDS, Progress, peak_bytes
from sample.server_process import REPOSITORY
from tests.export.command_line import TINY_CORPUS, assert_one_line, export, export_tiny
from tests.export.tiny_models import plain_bert

WAIT_SECONDS = 60


def wait_for(text: str, capfd: pytest.CaptureFixture[str]) -> str:
    """Returns all of stderr once it has `text`; fails after a minute."""
    seen, deadline = "", time.monotonic() + WAIT_SECONDS
    while text not in seen:
        assert time.monotonic() < deadline, seen
        time.sleep(0.01)
        seen += capfd.readouterr().err
    return seen


def test_a_long_step_is_repeated_until_the_next_one(capfd: pytest.CaptureFixture[str]) -> None:
    with Progress(interval_seconds=0.05) as progress:
        progress("opening a model")
        first = wait_for("still opening a model, for ", capfd)
        assert re.match(r"\[ +\d+\.\d s\] opening a model …\n\[ +\d+\.\d s\] still opening a model, for \d+ s\n", first)
        progress("quantizing")
        assert "still opening" not in wait_for("still quantizing", capfd).partition("still quantizing")[2]
    capfd.readouterr()
    time.sleep(0.2)
    assert capfd.readouterr().err == ""


def test_a_step_that_holds_the_gil_is_repeated(capfd: pytest.CaptureFixture[str]) -> None:
    with Progress(interval_seconds=0.05) as progress:
        progress("tracing")
        wait_for("still tracing", capfd)
        ctypes.PyDLL(None).usleep(1_500_000)  # Unlike CDLL, PyDLL keeps the GIL during the call.
        repeated = capfd.readouterr().err
    assert "still tracing" in repeated


def test_the_repetition_ends_with_an_error_and_with_the_process(capfd: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        with Progress(interval_seconds=0.05) as progress:
            progress("opening a model")
            raise ValueError("wrong")

    with pytest.raises(ValueError, match="wrong"):
        fail()
    killed = "import os; from export.progress import Progress; Progress(interval_seconds=0.05).__enter__()('x');"
    subprocess.run([sys.executable, "-c", f"{killed} os.kill(os.getpid(), 9)"], cwd=REPOSITORY, check=False)
    time.sleep(0.2)  # The pipe is closed by now; a heartbeat that missed it would go on.
    capfd.readouterr()
    time.sleep(0.3)
    assert capfd.readouterr().err == ""


def test_only_a_process_that_dies_has_last_words(capfd: pytest.CaptureFixture[str]) -> None:
    begun = "import os; from export.progress import Progress; p = Progress(last_words='died').__enter__(); p('x');"
    for end in ("os.kill(os.getpid(), 9)", "os._exit(1)"):
        subprocess.run([sys.executable, "-c", f"{begun} {end}"], cwd=REPOSITORY, check=False)
        wait_for("died\n", capfd)
    subprocess.run([sys.executable, "-c", f"{begun} p.__exit__(None, None, None)"], cwd=REPOSITORY, check=False)
    assert "died" not in capfd.readouterr().err


def test_the_repetition_stops_with_the_export_but_outlives_ctrl_c(capfd: pytest.CaptureFixture[str]) -> None:
    """Ctrl-Z reaches the process group, and so does Ctrl-C, on which the export itself ends the repetition."""
    with Progress(interval_seconds=0.05) as progress:
        progress("opening a model")
        heartbeat = progress._heartbeat.pid
        assert os.getpgid(heartbeat) == os.getpgid(0)
        os.kill(heartbeat, signal.SIGINT)
        wait_for("still opening a model", capfd)
        progress("quantizing")
        assert "Traceback" not in wait_for("still quantizing", capfd)
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_nothing_is_silent_for_ten_seconds() -> None:
    assert INTERVAL_SECONDS <= 9


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_an_export_ends_with_its_time_and_memory(tmp_path: Path) -> None:
    made = export_tiny(plain_bert(tmp_path / "model"))
    lines = made.stderr.splitlines()
    assert lines[0].endswith("loading the libraries …")
    assert re.fullmatch(r"\[ *\d+\.\d s\] done, with \d+ s of CPU time and at most \d+\.\d GB", lines[-1])
    assert 0.1e9 < peak_bytes() < 1e12
    evaluated = export("evaluate", "--bundle", made.directory, "--eval", TINY_CORPUS)
    assert "s of CPU time and at most" in evaluated.stderr
    refused = export("--model", tmp_path / "missing", "--out", tmp_path / "out")
    assert_one_line(refused, "there is no directory")
    assert "done" not in refused.stderr
