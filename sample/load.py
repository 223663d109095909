"""The standard load test: `make loadtest`.

It sends the sample's labelled queries to the server of `make demo`, or starts a server if that one is not running: a
Poisson process of 150 searches a second for 20 seconds. A number at the end of each query makes them all different, so
that the server encodes each one instead of finding it in its cache. The results and the report are in build/loadtest.
"""

from __future__ import annotations

import argparse
import contextlib
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from sample.server_process import REPOSITORY, running_server

DEMO, DEMO_METRICS = "127.0.0.1:50051", "http://127.0.0.1:9464/metrics"
QUERIES = REPOSITORY / "sample/queries.jsonl"
SATURATED = 3


def main() -> int:
    """Runs the load test; returns the load tester's exit code, or 0 if the load generator was saturated."""
    parser = argparse.ArgumentParser(prog="python -m sample.load", description=__doc__, allow_abbrev=False)
    parser.add_argument("--bundle", type=Path, default=REPOSITORY / "build/bundle", metavar="DIR")
    parser.add_argument("--rate", default="150", metavar="R", help="searches a second (default: 150)")
    parser.add_argument("--duration", default="20s", help="length of the measured part (default: 20s)")
    parser.add_argument("--out", type=Path, default=REPOSITORY / "build/loadtest", metavar="DIR")
    parser.add_argument("--own-server", action="store_true", help="start a server even if the demo's is running")
    options = parser.parse_args()
    results, report = options.out / "results.bin", options.out / "report.html"
    with _server(options.bundle, own=options.own_server) as (address, metrics_url):
        profile = ["--schedule", "poisson", "--rate", options.rate, "--duration", options.duration, "--warm-up", "2s"]
        asked = ["--queries", str(QUERIES), "--qrels", str(QUERIES), "--order", "uniform", "--unique"]
        seen = ["--metrics-url", metrics_url, "--out", str(results)]
        code = _loadtest("attack", address, *profile, *asked, *seen)
    if results.is_file():
        _loadtest("report", str(results), "--format", "html", "--out", str(report))
    if code == SATURATED:
        # Server and generator share this machine, so the test has not failed.
        print("load: the generator was saturated; the first line of the report says why", file=sys.stderr)
        return 0
    return code


@contextlib.contextmanager
def _server(bundle: Path, *, own: bool) -> Iterator[tuple[str, str]]:
    """Yields the address and the metrics URL of the demo's server, or of a server that it starts and stops."""
    if not own and _listens(DEMO):
        print(f"testing the demo's server at {DEMO}", file=sys.stderr)
        yield DEMO, DEMO_METRICS
        return
    flags = ["--bundle", str(bundle), "--catalogue", str(REPOSITORY / "sample/catalogue.jsonl")]
    with running_server([*flags, "--listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0"]) as server:
        print(f"testing a new server at {server.address}", file=sys.stderr)
        yield server.address, server.metrics_url


def _listens(address: str) -> bool:
    host, _, port = address.partition(":")
    with contextlib.suppress(OSError), socket.create_connection((host, int(port)), timeout=1):
        return True
    return False


def _loadtest(*arguments: str) -> int:
    return subprocess.run([sys.executable, "-m", "loadtest", *arguments], cwd=REPOSITORY, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
