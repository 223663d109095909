import os
import shutil
import subprocess
import urllib.request

import pytest

from sample.server_process import REPOSITORY, ServerProcess


@pytest.fixture(scope="module")
def promtool() -> str:
    """Prometheus's checker; `make promtool` fetches it."""
    found = shutil.which("promtool") or shutil.which(REPOSITORY / "build/tools/usr/bin/promtool")
    if found is None:
        assert not os.environ.get("CI"), "promtool is missing: make promtool"
        pytest.skip("promtool is missing: make promtool")
    return found


def check(*command: str, text: str = "") -> None:
    run = subprocess.run(command, input=text, capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert not run.stderr.strip(), run.stderr


def test_prometheus_accepts_the_metrics(promtool: str, tiny_server: ServerProcess) -> None:
    with urllib.request.urlopen(tiny_server.metrics_url, timeout=10) as response:  # noqa: S310  our own server
        check(promtool, "check", "metrics", text=response.read().decode())


def test_the_scrape_configuration_is_valid(promtool: str) -> None:
    check(promtool, "check", "config", str(REPOSITORY / "deploy/prometheus.yml"))
