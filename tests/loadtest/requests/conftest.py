from pathlib import Path

import pytest

from tests.loadtest.requests.foreign import write_protos


@pytest.fixture(scope="package")
def protos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the other people's .proto files."""
    return write_protos(tmp_path_factory.mktemp("foreign"))
