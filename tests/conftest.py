"""Fixtures that several test packages share."""

import gc
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from sample.server_process import REPOSITORY, ServerProcess, running_server
from tests.postgresql import Cluster
from tests.tiny_bundle import make_bundle

# A shell ignores SIGINT in a background job, and every child inherits that: tests of Ctrl-C would wait forever.
signal.signal(signal.SIGINT, signal.default_int_handler)

# The examples of property tests. No profile depends on the speed of the machine: none has a deadline for an example.
ANY_SPEED: dict[str, Any] = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("local", **ANY_SPEED, derandomize=False)
# The same examples in every run, so that a change does not fail for a case that it has not touched.
settings.register_profile("ci", **ANY_SPEED, derandomize=True, database=None)
# New examples in every run, and more of them: `make test-random`.
settings.register_profile("random", **ANY_SPEED, derandomize=False, max_examples=1000, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "local"))


def pytest_collection_finish() -> None:
    """Exempts the collected tests from garbage collection: a pass over them takes 0.5 s of any thread."""
    gc.collect()
    gc.freeze()


SAMPLE_CATALOGUE = REPOSITORY / "sample/catalogue.jsonl"
SAMPLE_QUERIES = REPOSITORY / "sample/queries.jsonl"


def server_flags(bundle: Path, catalogue: Path, *more: str) -> list[str]:
    """Returns the flags of a server on ports that the system chooses.

    It refuses no call, even on a slow machine, unless `more` sets another wait: the last of equal flags counts.
    """
    free = "127.0.0.1:0"
    flags = ["--bundle", str(bundle), "--catalogue", str(catalogue), "--listen", free, "--metrics", free]
    return [*flags, "--longest-wait-seconds", "60", *more]


@pytest.fixture(scope="session")
def tiny_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small random bundle."""
    return make_bundle(tmp_path_factory.mktemp("tiny") / "bundle")


@pytest.fixture(scope="session")
def tiny_server(tiny_bundle: Path) -> Iterator[ServerProcess]:
    """A server of the small bundle and the sample catalogue, in a separate process."""
    with running_server(server_flags(tiny_bundle, SAMPLE_CATALOGUE)) as server:
        yield server


@pytest.fixture(scope="session")
def default_bundle() -> Path:
    """The default model's bundle. If it is missing, make exports it, which takes a minute."""
    command = [str(shutil.which("make")), "build/bundle/manifest.json"]
    made = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=220, check=False)
    assert made.returncode == 0, made.stderr
    return REPOSITORY / "build/bundle"


@pytest.fixture(scope="session")
def default_server(default_bundle: Path) -> Iterator[ServerProcess]:
    """A server of the default model and the sample catalogue, in a separate process."""
    with running_server(server_flags(default_bundle, SAMPLE_CATALOGUE)) as server:
        yield server


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A cluster of PostgreSQL, for tests that do not stop it."""
    cluster = Cluster()
    yield cluster
    cluster.close()
