from collections.abc import Iterator
from pathlib import Path

import pytest

from sample.server_process import ServerProcess, running_server
from tests.conftest import SAMPLE_CATALOGUE, server_flags


@pytest.fixture(scope="package")
def writable_server(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server of the sample catalogue that accepts writes."""
    data = tmp_path_factory.mktemp("data")
    with running_server(server_flags(tiny_bundle, SAMPLE_CATALOGUE, "--data", str(data))) as server:
        yield server
