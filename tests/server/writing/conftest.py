from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.server.writing.making import Core, running
from tests.tiny_bundle import make_bundle


@pytest.fixture
async def core(tmp_path: Path, tiny_bundle: Path) -> AsyncIterator[Core]:
    async with running(tmp_path / "data", tiny_bundle) as core:
        yield core


@pytest.fixture(scope="session")
def titled_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that sees 64 tokens of title and text, so that a long title leaves no room for the text."""
    return make_bundle(tmp_path_factory.mktemp("titled") / "bundle", title_separator=" | ")
