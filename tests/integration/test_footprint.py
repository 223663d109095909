"""The size of the default model on disk and in memory."""

from pathlib import Path

import pytest

import chaja
from chaja.v1 import SearchRequest
from sample.server_process import ServerProcess
from server.encoding.native.library import cpu_can_run
from tests.integration.vitals import MEGABYTE, resident_bytes

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


def test_a_bundle_of_the_default_model_is_small(default_bundle: Path) -> None:
    size = sum(path.stat().st_size for path in default_bundle.rglob("*") if path.is_file())
    assert size <= 68 * MEGABYTE


def test_a_server_of_the_default_model_stays_within_350_megabytes(default_server: ServerProcess) -> None:
    with chaja.connect(default_server.address) as client:
        for number in range(100):
            client.search.Search(SearchRequest(query="where is my card " * (1 + number % 20)))
    assert resident_bytes(default_server.process.pid, peak=True) <= 350 * MEGABYTE


@pytest.mark.skipif(not cpu_can_run(), reason="the CPU has no AVX-512 with VNNI")
def test_the_native_encoder_is_reported(default_server: ServerProcess) -> None:
    assert any("is verified on this CPU (native)" in line for line in default_server.lines)
