import subprocess
import urllib.request

from sample.server_process import ServerProcess
from tests.deploy.prometheus import tool


def test_prometheus_accepts_the_metrics(tiny_server: ServerProcess) -> None:
    with urllib.request.urlopen(tiny_server.metrics_url, timeout=10) as response:  # noqa: S310  our own server
        text = response.read().decode()
    command = [tool("promtool"), "check", "metrics"]
    run = subprocess.run(command, input=text, capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert not run.stderr.strip(), run.stderr
