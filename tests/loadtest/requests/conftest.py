from pathlib import Path

import pytest


@pytest.fixture
def protos() -> Path:
    """The folder of third-party .proto files."""
    return Path(__file__).parent / "protos"
