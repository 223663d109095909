import random
from pathlib import Path

from tests.integration.durability.servers import ForkServer
from tests.integration.durability.stores import check, delete, start_server, write
from tests.integration.serving import wait_until

GRAPH = ("--hnsw-from-vectors", "100")


def test_a_complete_snapshot_with_a_graph_is_used_and_catches_up(
    forks: ForkServer, tiny_bundle: Path, folder: Path
) -> None:
    data = folder / "data"
    server = start_server(forks, tiny_bundle, data, *GRAPH)
    with server.client() as client:
        documents = write(client, random.Random(1), [f"id {number}" for number in range(80)])
        wait_until(lambda: "the graph of the index has" in server.text)
    assert server.stop() == 0
    assert list(data.glob("index/snapshot-*/vectors.graph"))
    server = start_server(
        forks, tiny_bundle, data, *GRAPH, constants={"server.writing.live_catalogue.MAINTENANCE_SECONDS": 600.0}
    )
    with server.client() as client:
        documents |= write(client, random.Random(2), ["id 3", "id 4", "new"])
        delete(client, ["id 5", "id 6"])
    server.kill()
    server = start_server(forks, tiny_bundle, data)  # The graph of the snapshot is used, and no other one is built.
    with server.client() as client:
        check(client, {id: each for id, each in documents.items() if id not in ("id 5", "id 6")})
    server.kill()
    assert "the index was loaded from the snapshot" in server.text
    assert "WARNING" not in server.text
