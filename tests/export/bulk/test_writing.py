import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from export.bulk import writing
from export.bulk.portions import Encoded
from export.bulk.writing import Writer, opened
from server.catalogue.document import Document
from server.catalogue.location import Location
from server.catalogue.store import Store
from server.encoding.bundle import Bundle
from server.encoding.documents import encode_documents
from server.errors import StoreUnavailable
from tests.export.bulk.making import rows
from tests.postgresql import Cluster
from tests.server.catalogue.stores import execute

REVISION = "one"


@pytest.fixture(params=["sqlite", "postgresql"])
def new_location(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Location]:
    """Makes an empty place for a store."""
    if request.param == "sqlite":
        return lambda: tmp_path / "data"
    return request.getfixturevalue("cluster").new_database  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def portion(tiny_bundle: Path) -> Encoded:
    documents = [msgspec.convert(row, Document) for row in rows(20)]
    return Encoded(documents, encode_documents(documents, Bundle(tiny_bundle)), 0.0)


def versions(store: Store, revision: str = REVISION) -> dict[str, int]:
    """Returns the versions of the documents that have vectors of a model."""
    return {each.document.id: each.sequence for each in store.after(0, revision) if each.vectors is not None}


def test_a_portion_that_is_written_twice_changes_nothing(
    new_location: Callable[[], Location], portion: Encoded
) -> None:
    with opened(new_location(), revision=REVISION) as store:
        writer = Writer(store, REVISION)
        writer.write(portion)
        assert (writer.documents, writer.unchanged, writer.left_out) == (20, 0, 0)
        assert writer.vectors == sum(len(each.spans) for each in portion.vectors)
        first = versions(store)
        assert first == {document.id: 1 + number for number, document in enumerate(portion.documents)}
        writer.write(portion)
        assert versions(store) == first
        assert store.sequence == 20


def test_only_changed_documents_get_new_versions(new_location: Callable[[], Location], portion: Encoded) -> None:
    changed = portion.documents[:]
    changed[3] = msgspec.structs.replace(changed[3], title="new")
    with opened(new_location(), revision=REVISION) as store:
        Writer(store, REVISION).write(portion)
        writer = Writer(store, "two")
        writer.write(portion._replace(documents=changed))
        assert (writer.documents, writer.unchanged) == (1, 19)
        first, second = versions(store), versions(store, "two")
        assert {id for id in second if second[id] != first.get(id)} == {changed[3].id}
        assert second[changed[3].id] == 21


def test_only_vectors_are_written_if_documents_must_stay(
    new_location: Callable[[], Location], portion: Encoded
) -> None:
    older = portion.documents[:]
    older[3] = msgspec.structs.replace(older[3], title="old")
    with opened(new_location(), revision=REVISION) as store:
        Writer(store, REVISION).write(Encoded(portion.documents[:15], portion.vectors[:15], 0.0))
        writer = Writer(store, "two", only_vectors=True)
        writer.write(portion._replace(documents=older))
        assert (writer.documents, writer.unchanged, writer.left_out) == (0, 14, 6)
        kept = versions(store)
        del kept[older[3].id]
        assert versions(store, "two") == kept
        assert store.sequence == 15


class Interrupted(list[Document]):
    """Documents that are interrupted by Ctrl-C, once they are read for the first time."""

    def __iter__(self) -> Iterator[Document]:
        if not hasattr(self, "sent"):
            self.sent = True
            os.kill(os.getpid(), signal.SIGINT)
        return super().__iter__()


def test_a_portion_that_ctrl_c_interrupts_is_written_and_counted(
    new_location: Callable[[], Location], portion: Encoded
) -> None:
    before = signal.getsignal(signal.SIGINT)
    with opened(new_location(), revision=REVISION) as store:
        writer = Writer(store, REVISION)
        with pytest.raises(KeyboardInterrupt):
            writer.write(portion._replace(documents=Interrupted(portion.documents)))
        assert len(versions(store)) == writer.written == 20
    assert signal.getsignal(signal.SIGINT) is before


def test_the_vectors_of_the_model_are_used_now(new_location: Callable[[], Location]) -> None:
    with opened(new_location(), revision=REVISION) as store:
        ((used_seconds,),) = execute(store, "SELECT used_seconds FROM revisions WHERE revision = ?", REVISION)
        assert abs(used_seconds - time.time()) < 60, "a server that purges vectors keeps those of a roll-out"


def test_a_write_waits_for_a_database_that_is_away(portion: Encoded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "PAUSE_SECONDS", 0.05)
    with contextlib.closing(Cluster()) as cluster, opened(cluster.new_database(), revision=REVISION) as store:
        writer = Writer(store, REVISION)
        cluster.stop("immediate")
        starting = threading.Timer(1.0, cluster.start)
        starting.start()
        writer.write(portion)
        starting.join()
        assert len(versions(store)) == writer.written == 20
        cluster.stop("immediate")
        monkeypatch.setattr(writing, "RETRY_SECONDS", 0.2)
        with pytest.raises(StoreUnavailable, match="does not answer"):
            writer.write(portion)
