"""Three servers of one database that are killed, and whose database is restarted, under writes and searches."""

import contextlib
from pathlib import Path

import pytest

from benchmarks.replicas.__main__ import server_arguments
from benchmarks.replicas.chaos import measure_chaos
from benchmarks.replicas.replica import running_replicas
from server.catalogue.location import text_of
from tests.postgresql import Cluster

pytestmark = pytest.mark.slow

DEADLINE_SECONDS = 60.0
"""On a machine that is busy, a start takes long."""


@pytest.mark.timeout(300)
def test_killed_servers_lose_no_write_and_fail_no_search(tiny_bundle: Path, tmp_path: Path) -> None:
    with contextlib.closing(Cluster()) as cluster:
        arguments = server_arguments(tiny_bundle, text_of(cluster.new_database()))
        with running_replicas(arguments, tmp_path, count=3) as replicas:
            figures = list(measure_chaos(replicas, cluster, kills=6, restarts=2, deadline_seconds=DEADLINE_SECONDS))
            assert not [str(each) for each in figures if each.missed]
            found = {each.name: each.median for each in figures}
            assert found["acknowledged changes of documents"] > 20
            assert sum(each.starts for each in replicas) >= 3 + 6 + 3
