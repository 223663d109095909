import functools
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.durability.servers import ForkServer, Server
from tests.integration.durability.stores import start_server


@pytest.fixture(scope="session")
def forks() -> Iterator[ForkServer]:
    """Starts servers quickly."""
    forks = ForkServer()
    yield forks
    forks.close()


@pytest.fixture(scope="session")
def start(forks: ForkServer, tiny_bundle: Path) -> Callable[..., Server]:
    """Starts a server of a directory, with more flags and the options of `Start`."""
    return functools.partial(start_server, forks, tiny_bundle)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A directory in memory if /dev/shm is writable. It keeps what a killed process wrote, flushed or not."""
    memory = Path("/dev/shm")  # noqa: S108  the directory gets a random name
    if not os.access(memory, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=memory, prefix="chaja-") as directory:
        yield Path(directory)
