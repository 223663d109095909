"""A frame that crashes grpcio's server, which is then replaced."""

import shutil
import time
from pathlib import Path
from queue import SimpleQueue

import chaja
from chaja.v1 import SearchRequest
from tests.integration.raw_calls import connected, headers, opened
from tests.integration.scraping import scrape, total
from tests.integration.serving import sample_server, wait_for_line, wait_until

CRASHING = opened(b"/\xff")
REQUEST = SearchRequest(query="송금", limit=3)


def test_other_clients_are_served_after_a_crash(tiny_bundle: Path) -> None:
    with sample_server(tiny_bundle) as server, chaja.connect(server.address) as client:
        assert client.search.Search(REQUEST).hits
        lines = len(server.lines)
        more: SimpleQueue[SearchRequest | None] = SimpleQueue()
        stream = client.search.SearchStream(iter(more.get, None))
        more.put(REQUEST)
        assert next(stream).response.hits
        for crash in range(1, 6):
            with connected(server.address, CRASHING):
                wait_until(lambda: total(scrape(server.metrics_url), "chaja_grpc_restarts_total") == crash)  # noqa: B023
            began = time.monotonic()
            assert client.search.Search(REQUEST).hits
            assert time.monotonic() - began < 1
            if crash == 1:
                more.put(REQUEST)
                assert next(stream).response.hits, "a call in flight is not affected"
                more.put(None)
        wait_for_line(server, "a client crashed gRPC")
        assert len(server.lines) == lines + 1, server.lines[lines:]
    assert server.process.returncode == 0


def test_a_server_that_cannot_listen_again_ends_with_one_line(tiny_bundle: Path, tmp_path: Path) -> None:
    folder = tmp_path / "sockets"
    folder.mkdir()
    with (
        sample_server(tiny_bundle, "--listen", f"unix:{folder}/s") as server,
        connected(server.address, opened("/a/b")) as client,
    ):
        shutil.rmtree(folder)
        client.sendall(headers(b"/\xff", 3))
        assert server.process.wait(30) == 1
    assert [line for line in server.lines if " INFO " not in line] == [
        f"server: error: cannot listen on unix:{folder}/s: {folder} is not a directory; choose another with --listen"
    ]
