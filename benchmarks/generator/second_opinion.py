"""h2load, of Debian's package nghttp2-client, as a second opinion on rate and median.

Source: https://nghttp2.org/documentation/h2load.1.html (the log's columns: start, status, microseconds).
"""

import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sample.server_process import REPOSITORY

TOOLS = REPOSITORY / "build/tools/usr"
PLACES = (shutil.which("h2load"), str(TOOLS / "bin/h2load"))
LIBRARIES = ":".join(str(folder) for folder in TOOLS.glob("lib/*-linux-gnu*"))
RATE_OF_ONE = 100
"""h2load sends by a timer of 10 ms, so above this rate it sends several requests at once."""


@dataclass(frozen=True)
class Opinion:
    """The figures that h2load measured."""

    rate: float
    p50_seconds: float


def h2load_path() -> str | None:
    """Returns the path of h2load, on PATH or as installed by `make h2load`; `None` if it is missing."""
    return next((place for place in PLACES if place and Path(place).is_file()), None)


def ask_h2load(
    address: str, method: str, message: bytes, *, seconds: int, rate: int = 0, in_flight: int = 1
) -> Opinion:
    """Calls a method with one message, at a rate or with a number of calls in flight.

    Args:
        address: The server.
        method: The method's path, as in `/chaja.v1.SearchService/Search`.
        message: The serialized request.
        seconds: Length of the measurement, after a second of warm-up.
        rate: Calls a second, up to `RATE_OF_ONE`; 0 for a closed loop.
        in_flight: Calls in flight of a closed loop.
    """
    program = h2load_path()
    assert program is not None, "h2load is installed"
    assert rate <= RATE_OF_ONE, "h2load bunches calls above that"
    with tempfile.TemporaryDirectory() as scratch:
        body, log = Path(scratch) / "body", Path(scratch) / "log"
        body.write_bytes(b"\0" + len(message).to_bytes(4, "big") + message)
        command = [program, "-D", str(seconds), "--warm-up-time", "1", "-c", "1", "-d", str(body), f"--log-file={log}"]
        command += ["--rps", str(rate), "-m", "100"] if rate else ["-m", str(in_flight)]
        command += ["-H", "content-type: application/grpc", "-H", "te: trailers", f"http://{address}{method}"]
        subprocess.run(command, check=True, capture_output=True, env={**os.environ, "LD_LIBRARY_PATH": LIBRARIES})
        columns = np.loadtxt(log, ndmin=2)
    succeeded = columns[columns[:, 1] == 200]
    return Opinion(len(succeeded) / seconds, float(np.median(succeeded[:, 2])) / 1e6)
