from pathlib import Path

import pytest


@pytest.fixture
def protos() -> Path:
    """The folder of the other people's .proto files."""
    return Path(__file__).parent / "protos"
