"""The real server under a small load, scraped by a real Prometheus every second: the fixture `monitored`."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from sample.server_process import ServerProcess
from tests.deploy.load import load
from tests.deploy.prometheus import Prometheus, running_prometheus
from tests.integration.serving import sample_server

INSTANCE = "chaja-0"
"""The label `instance` of the server."""


class Monitored(NamedTuple):
    """A server under load, and the Prometheus that scrapes it."""

    server: ServerProcess
    prometheus: Prometheus


@pytest.fixture(scope="session")
def monitored(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Monitored]:
    """Yields once Prometheus has scraped the server under load several times, and evaluated the rules."""
    directory = tmp_path_factory.mktemp("monitored")
    with (
        sample_server(tiny_bundle, "--data", str(directory / "store"), "--encode-workers", "1") as server,
        running_prometheus(directory, {INSTANCE: metrics_address(server)}) as prometheus,
        load(server.address),
    ):
        prometheus.wait_for('count_over_time(up{job="chaja"}[1m]) > 4')
        yield Monitored(server, prometheus)


def metrics_address(server: ServerProcess) -> str:
    """Returns host and port of a server's metrics."""
    return server.metrics_url.removeprefix("http://").removesuffix("/metrics")
