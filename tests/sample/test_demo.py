import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from sample.server_process import REPOSITORY


def test_one_interrupt_of_the_terminal_drains_the_server_of_the_demo(tiny_bundle: Path) -> None:
    flags = ["--bundle", str(tiny_bundle), "--listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0"]
    # The drain is long enough for a second signal to arrive.
    options: Any = {"env": {**os.environ, "CHAJA_DRAIN_WAIT_SECONDS": "2"}, "cwd": REPOSITORY, "text": True}
    options |= {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "process_group": 0}
    with subprocess.Popen([sys.executable, "-m", "sample.demo", *flags], **options) as demo:
        assert demo.stdout is not None
        while demo.stdout.readline() != "Serving until Ctrl-C.\n":
            assert demo.poll() is None
        os.killpg(demo.pid, signal.SIGINT)  # A terminal sends it to the whole foreground group.
        _, log = demo.communicate(timeout=60)
    assert demo.returncode == 0
    assert "draining" in log
    assert log.endswith("stopped\n")
    assert "second signal" not in log
