"""A store with known documents, served again and again."""

import itertools
import random
from collections.abc import Mapping
from pathlib import Path

import chaja
from chaja.v1 import Delete, DeleteDocumentsRequest, Document, Upsert, UpsertDocumentsRequest
from tests.integration.durability.checking import check_searches, listed
from tests.integration.durability.documents import random_document
from tests.integration.durability.fork_server import Start
from tests.integration.durability.servers import ForkServer, Server

_numbers = itertools.count()


def start_server(forks: ForkServer, bundle: Path, data: Path, *flags: str, **options: object) -> Server:
    """Starts a server of a directory; `options` are those of `Start`."""
    arguments = ["--bundle", str(bundle), "--data", str(data), "--listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0"]
    arguments += ["--encode-workers", "1", "--longest-wait-seconds", "100000", *flags]
    log = data.parent / f"{data.name}-{next(_numbers)}.log"
    return forks.start(Start(arguments=arguments, log=str(log), **options))  # type: ignore[arg-type]


def write(client: chaja.Client, rng: random.Random, ids: list[str]) -> dict[str, Document]:
    """Writes random documents; returns them with their versions."""
    documents = {id: random_document(rng, id, batch="some") for id in ids}
    request = UpsertDocumentsRequest(upserts=[Upsert(document=each) for each in documents.values()])
    for result in client.catalog.UpsertDocuments(request).results:
        assert not result.HasField("error"), f"{result}"
        documents[result.id].version = result.version
    return documents


def delete(client: chaja.Client, ids: list[str]) -> None:
    """Deletes existing documents."""
    request = DeleteDocumentsRequest(deletes=[Delete(id=id) for id in ids])
    assert client.catalog.DeleteDocuments(request).deleted_count == len(ids)


def check(client: chaja.Client, expected: Mapping[str, Document]) -> None:
    """Checks that exactly these documents exist, and that searches find each."""
    assert listed(client) == expected
    check_searches(client, expected, random.Random(1))
