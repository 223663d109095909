"""A store, an engine and the live catalogue over a watched bundle, assembled as in the server."""

import contextlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from server.batching.speed import Speed
from server.catalogue.changes import Outcome, Stored, Upsert
from server.catalogue.document import Document
from server.catalogue.location import Location
from server.catalogue.rules import RuleKind
from server.catalogue.store import Store
from server.encoding.cache import EmbeddingCache
from server.engine import Engine, EngineSlot
from server.live.index import LiveIndex
from server.live.loading import Loaded
from server.live.snapshots import SnapshotFolder
from server.metrics import Metrics
from server.progress import Progress
from server.ranking.options import SearchOptions
from server.writing.committer import Committer
from server.writing.file_import import FileLimits
from server.writing.files import Files
from server.writing.live_catalogue import LiveCatalogue
from server.writing.reader import Reader
from server.writing.writer import Writer
from tests.server.making import ENGINE_SETTINGS, WatchedBundle, found_by, local, make_loaded


class Core:
    """The layers between the services and the disk. Make it on the event loop."""

    def __init__(
        self, directory: Path, bundle: WatchedBundle, *, keep_vectors_seconds: float, location: Location | None = None
    ) -> None:
        self.bundle = bundle
        directory.mkdir(exist_ok=True)
        self.store = Store(location or directory, durable=False)
        self.slot, self.metrics = EngineSlot(on_broken=lambda: None), Metrics()
        loaded = self.load(bundle)
        self.slot.swap(self.engine_of(loaded))
        self.slot.open()
        self.catalogue = LiveCatalogue(
            self.store,
            loaded,
            self.slot,
            self.metrics,
            snapshots=SnapshotFolder(directory / "index", self.store),
            feedback_days=30,
            keep_vectors_seconds=keep_vectors_seconds,
        )

    @property
    def writer(self) -> Writer:
        return self.catalogue.writer

    @property
    def reader(self) -> Reader:
        return self.catalogue.reader

    @property
    def committer(self) -> Committer:
        return self.catalogue._committer

    def load(self, bundle: WatchedBundle) -> Loaded:
        """Builds the index of a model from the store."""
        return make_loaded(bundle, self.store)

    @property
    def index(self) -> LiveIndex:
        """The index that serves."""
        return local(self.slot.engine.index)

    def engine_of(self, loaded: Loaded) -> Engine:
        return Engine(
            loaded.bundle, loaded.index, ENGINE_SETTINGS, cache=EmbeddingCache(0), speed=Speed(), metrics=self.metrics
        )

    async def take_over(self, bundle: WatchedBundle) -> None:
        """Replaces the serving model, as a reload does."""
        loaded = self.load(bundle)
        before = self.slot.engine

        def swap() -> None:
            self.slot.swap(self.engine_of(loaded))

        await self.catalogue.replace(loaded, swap)
        await before.close()

    async def import_file(self, path: Path, *, max_document_characters: int = 1_000_000, max_shrink: float = 1) -> None:
        """Imports a catalogue file."""
        files = Files(path, {}, FileLimits(max_document_characters, max_shrink))
        await self.catalogue.import_files(files, Progress())

    async def import_synonyms(self, path: Path, *, max_shrink: float = 1) -> None:
        """Imports a file of synonyms."""
        await self.import_rules(RuleKind.SYNONYM, path, max_shrink=max_shrink)

    async def import_rules(self, kind: RuleKind, path: Path, *, max_shrink: float = 1) -> None:
        """Imports a file of rules."""
        await self.catalogue.import_files(Files(None, {kind: path}, FileLimits(0, max_shrink)), Progress())

    async def found(self, query: str, *, limit: int = 100) -> list[str]:
        """Returns the ids of the documents that a search finds, best first."""
        engine = self.slot.engine
        job = engine.query_job(query, SearchOptions(limit), remaining_seconds=None, bulk=False)
        assert await engine.run([job]) == [None]
        found = [each.sequence for each in found_by(job)]
        fetched = [self.store.fetch([sequence], engine.manifest.revision).get(sequence) for sequence in found]
        return [each[0].id for each in fetched if each is not None]

    def stored(self, id: str) -> Stored:
        """Returns a stored document."""
        stored = self.store.get(id)
        assert stored is not None
        return stored

    def value(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(name, labels)

    async def close(self) -> None:
        await self.catalogue.close()
        await self.slot.engine.close()
        self.store.close()


@contextlib.asynccontextmanager
async def running(
    directory: Path,
    bundle: Path | WatchedBundle,
    *,
    keep_vectors_seconds: float = 3600,
    location: Location | None = None,
) -> AsyncIterator[Core]:
    """Runs a core and closes it. The store is in `directory` unless `location` is another place."""
    watched = bundle if isinstance(bundle, WatchedBundle) else WatchedBundle(bundle)
    core = Core(directory, watched, keep_vectors_seconds=keep_vectors_seconds, location=location)
    try:
        yield core
    finally:
        await core.close()


def titled(id: str, title: str = "") -> Document:
    """Returns a document with a title, by default its id."""
    return Document(id=id, title=title or id)


def upserts(*documents: Document) -> list[Upsert]:
    return [Upsert(document) for document in documents]


def summary(outcomes: Sequence[Outcome]) -> list[tuple[str, int, bool, str | None]]:
    """Returns the id, version, whether it changed, and the type of the error of each outcome."""
    return [
        (each.id, each.version, each.changed, type(each.error).__name__ if each.error else None) for each in outcomes
    ]
