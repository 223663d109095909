"""The real server under a small load, scraped by a real Prometheus every second: the fixture `monitored`."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import grpc
import pytest

from sample.server_process import ServerProcess
from tests.deploy.load import load
from tests.deploy.prometheus import Prometheus, running_prometheus
from tests.integration.certificates import Authority
from tests.integration.serving import sample_server

INSTANCE = "chaja-0"
"""The label `instance` of the server."""


class Monitored(NamedTuple):
    """A server under load with TLS and backups, the Prometheus that scrapes it, and credentials of its clients."""

    server: ServerProcess
    prometheus: Prometheus
    credentials: grpc.ChannelCredentials


@pytest.fixture(scope="package")
def monitored(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Monitored]:
    """Yields once Prometheus has scraped the server under load several times, and evaluated the rules."""
    directory = tmp_path_factory.mktemp("monitored")
    authority = Authority(directory, "authority")
    credentials, pair = authority.credentials(), authority.signed("server")
    flags = ["--data", str(directory / "store"), "--encode-workers", "1", "--hnsw-from-vectors", "100"]
    flags += ["--tls-certificate", str(pair.certificate), "--tls-key", str(pair.key)]
    flags += ["--backup-directory", str(directory / "store/backups"), "--backup-every-seconds", "3600"]
    with (
        sample_server(tiny_bundle, *flags) as server,
        running_prometheus(directory, {INSTANCE: metrics_address(server)}) as prometheus,
        load(server.address, credentials=credentials),
    ):
        prometheus.wait_for('count_over_time(up{job="chaja"}[1m]) > 4')
        yield Monitored(server, prometheus, credentials)


def metrics_address(server: ServerProcess) -> str:
    """Returns host and port of a server's metrics."""
    return server.metrics_url.removeprefix("http://").removesuffix("/metrics")
