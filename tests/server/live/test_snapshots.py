from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from server.catalogue.document import Document
from server.catalogue.encoded import Versioned
from server.catalogue.store import Store
from server.encoding.bundle import Bundle
from server.encoding.kind import TextKind
from server.errors import LoadingCancelled
from server.live.index import LiveIndex, snapshot_parts
from server.live.loading import Loaded
from server.live.snapshots import SnapshotFolder
from server.ranking.found import Found
from server.ranking.options import Mode, SearchOptions
from server.ranking.search import search
from server.snapshot import ARRAYS, DESCRIPTION
from server.vectors.dense import DenseOptions
from tests.server.making import empty_index, encode, make_loaded, versioned

QUERIES = ["환율 3", "document 7", "카드"]


class Served:
    """A store, its live index, and the snapshots of the index."""

    def __init__(self, directory: Path, bundle: Bundle, store: Store) -> None:
        self.folder = directory / "index"
        self.bundle, self.store = bundle, store
        self.snapshots = SnapshotFolder(self.folder, store)
        self.loaded: Loaded = make_loaded(bundle, store)
        self.index = self.loaded.index

    def put(self, *ids: str, title: str = "환율") -> None:
        with self.store.write() as transaction:
            for id in ids:
                document = Document(id=id, title=f"{title} {id}", text=f"document {id}", attributes={"n": len(id)})
                vectors = versioned(self.bundle, document, 0).vectors
                assert vectors is not None
                transaction.put(document, vectors, revision=self.bundle.manifest.revision)
        self.follow(transaction.added, transaction.retired)

    def delete(self, id: str) -> None:
        with self.store.write() as transaction:
            transaction.delete(id)
        self.follow(transaction.added, transaction.retired)

    def follow(self, added: list[Versioned], retired: list[int]) -> None:
        self.index.follow(added, retired, sequence=self.store.sequence)

    def save(self) -> None:
        self.snapshots.save(self.index.state, self.bundle.manifest.revision)

    def load(self, *, revision: str | None = None, options: DenseOptions | None = None) -> LiveIndex | None:
        return self.snapshots.load(lambda: self.empty(revision=revision, options=options))

    def empty(self, *, revision: str | None = None, options: DenseOptions | None = None) -> LiveIndex:
        return empty_index(self.bundle, options=options, folder=self.folder, revision=revision)

    def check(self, *, options: DenseOptions | None = None) -> None:
        """Loads the snapshot, brings it up to date with the store, and compares the answers to queries."""
        loaded = self.load(options=options)
        assert loaded is not None
        self.loaded.builder.complete(loaded)
        self.loaded.builder.catch_up(loaded)
        assert loaded.state.live_vectors == self.index.state.live_vectors == 2 * len(self.store)
        assert loaded.state.sequence == self.index.state.sequence == self.store.sequence
        assert loaded.state.dense.graph_count == self.index.state.dense.graph_count
        assert answers(self.bundle, loaded) == answers(self.bundle, self.index)
        assert suggested(loaded) == suggested(self.index)
        loaded.close()

    def saved(self) -> list[Path]:
        return sorted(self.folder.glob("snapshot-*"))


@pytest.fixture
def served(tmp_path: Path, bundle: Bundle, store: Store) -> Iterator[Served]:
    served = Served(tmp_path, bundle, store)
    served.put(*(str(number) for number in range(20)))
    yield served
    served.index.close()


def answers(bundle: Bundle, index: LiveIndex) -> list[Found]:
    return [
        search(index.state, query, encode(bundle, [(query, TextKind.QUERY)])[0], SearchOptions(30, mode))
        for query in QUERIES
        for mode in Mode
    ]


def suggested(index: LiveIndex) -> list[tuple[str, int]]:
    state = index.state
    found = [suggestion for query in QUERIES for suggestion in state.suggestions.suggest(query, limit=99)]
    assert found
    return [(suggestion.text, int(state.slots.sequences[suggestion.slot])) for suggestion in found]


def test_a_saved_index_is_loaded(served: Served) -> None:
    assert served.load() is None, "there is no snapshot yet"
    served.put("3", "5", title="카드")
    served.delete("7")
    served.save()
    served.check()


def test_a_snapshot_catches_up_with_the_store(served: Served) -> None:
    served.save()
    served.put("3", "new", title="카드")
    served.delete("7")
    loaded = served.load()
    assert loaded is not None
    assert loaded.state.sequence == 20
    assert loaded.state.slots.live_count == 18, "documents deleted meanwhile are dead at once"
    loaded.close()
    served.check()


def test_completing_a_loaded_index_can_be_cancelled(served: Served) -> None:
    served.save()
    loaded = served.load()
    assert loaded is not None
    served.loaded.builder.cancelled.set()
    with pytest.raises(LoadingCancelled):
        served.loaded.builder.complete(loaded)
    loaded.close()


def test_a_snapshot_replaces_the_one_before(served: Served) -> None:
    served.save()
    served.save()
    assert [path.name for path in served.saved()] == ["snapshot-00000000000000000020"]
    served.put("new")
    served.save()
    assert [path.name for path in served.saved()] == ["snapshot-00000000000000000021"]
    assert sorted(path.name for path in served.folder.iterdir()) == [served.saved()[0].name]


def test_a_graph_is_saved_and_loaded(tmp_path: Path, bundle: Bundle, store: Store) -> None:
    options = DenseOptions(hnsw_from_vectors=30, tail_least=10)
    served = Served(tmp_path, bundle, store)
    served.index.close()
    served.index = served.empty(options=options)
    served.put(*(str(number) for number in range(20)))
    served.index.dense.wait()
    served.put("more")
    served.index.refresh()
    assert served.index.state.dense.graph_count == 40
    served.save()
    served.check(options=options)
    served.index.close()


def test_concurrent_saves_leave_one_complete_snapshot(served: Served) -> None:
    def save() -> None:
        for _ in range(8):
            served.save()

    with ThreadPoolExecutor(3) as pool:
        saving = [pool.submit(save) for _ in range(3)]
        served.put("new")
    for each in saving:
        each.result()
    served.save()
    assert [path.name for path in served.folder.glob("*napshot-*")] == ["snapshot-00000000000000000021"]
    assert not list(served.folder.glob("unfinished-*"))
    served.check()


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) * 2 // 3] ^= 0x10
    path.write_bytes(data)


@pytest.mark.parametrize("damage", [cut, flip, Path.unlink])
def test_a_snapshot_with_a_damaged_file_is_removed(
    served: Served, damage: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    served.save()
    files = [ARRAYS, DESCRIPTION]
    assert sorted(path.name for path in served.saved()[0].iterdir()) == files
    for name in files:
        caplog.clear()
        damage(served.saved()[0] / name)
        assert served.load() is None, name
        assert "removing an unusable snapshot" in caplog.text
        assert served.saved() == [], name
        served.save()
    served.check()
    assert sorted(path.name for path in served.folder.iterdir()) == [served.saved()[0].name], "no other files remain"


def test_an_older_snapshot_is_loaded_if_the_newest_is_damaged(served: Served) -> None:
    served.save()
    older = served.saved()[0]
    older.rename(served.folder / "kept")
    served.put("new")
    served.save()
    (served.folder / "kept").rename(older)
    flip(served.saved()[1] / ARRAYS)
    loaded = served.load()
    assert loaded is not None
    assert loaded.state.sequence == 20
    loaded.close()


def test_a_snapshot_of_another_model_is_removed(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    served.save()
    assert served.load(revision="another") is None
    assert len([record for record in caplog.records if record.levelname == "WARNING"]) == 1
    assert "has revision" in caplog.text
    assert served.saved() == []


@pytest.mark.parametrize("part", ["slots", "dense", "lexical", "titles", "columns"])
def test_a_snapshot_with_unexpected_arrays_is_removed(
    served: Served, part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = {name: {} if name == part else arrays for name, arrays in snapshot_parts(served.index.state).items()}
    monkeypatch.setattr("server.live.snapshots.snapshot_parts", lambda _: parts)
    served.save()
    assert served.load() is None
    assert [path.name for path in served.folder.iterdir()] == []


def test_a_snapshot_of_another_store_is_removed(served: Served, tmp_path: Path) -> None:
    served.save()
    (tmp_path / "elsewhere").mkdir()
    other = Store(tmp_path / "elsewhere", durable=False)
    served.snapshots = SnapshotFolder(served.folder, other)
    assert served.load() is None
    other.close()


def test_a_snapshot_that_is_newer_than_a_restored_store_is_removed(served: Served) -> None:
    served.index.follow([], [], sequence=21)
    served.save()
    assert served.load() is None


def test_files_of_a_killed_process_are_removed(served: Served) -> None:
    for name in ("unfinished-7", "graphs-x"):
        (served.folder / name).mkdir()
    served.save()
    SnapshotFolder(served.folder, served.store)
    assert [path.name for path in served.folder.iterdir()] == [path.name for path in served.saved()]


def test_a_full_disk_keeps_the_snapshot_before(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    served.save()
    served.put("new")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("server.snapshot.write_synced", full)
        with pytest.raises(OSError, match="No space"):
            served.save()
    assert [path.name for path in served.folder.iterdir()] == ["snapshot-00000000000000000020"]
    served.check()
