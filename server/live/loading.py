"""Opens the bundle and brings a live index up to date with the store, before the server serves.

It blocks for seconds, so it runs in a separate thread.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from server.catalogue.store import Store
from server.encoding.bundle import Bundle
from server.errors import StoreError
from server.live.building import LOADING_NICENESS, IndexBuilder, keeps_all
from server.live.index import LiveIndex, field_weights
from server.live.opening import Opening, open_bundle
from server.live.snapshots import SnapshotFolder
from server.priority import give_way
from server.progress import Progress
from server.ranking.probes import encode_probes
from server.settings import Settings
from server.vectors.dense import DenseIndex, DenseOptions, OnBuild

FIRST_TYPED = "ㅊㅈ"
"""A typed text that is looked up before users' ones: the first look-up takes some 10 ms."""


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """A model and its live index, ready to serve.

    `new_index` makes an empty index. `saved_sequence` is that of the snapshot it was loaded from, -1 if there was none.
    """

    bundle: Bundle
    index: LiveIndex
    builder: IndexBuilder
    new_index: Callable[[], LiveIndex]
    saved_sequence: int = -1


def load(
    settings: Settings,
    store: Store,
    *,
    folder: Path,
    cancelled: threading.Event,
    progress: Progress,
    opening: Opening | None = None,
    snapshots: SnapshotFolder | None = None,
    background: bool = False,
    keeps: Callable[[str], bool] = keeps_all,
    on_build: OnBuild,
) -> Loaded:
    """Opens the bundle, verifies it on this CPU, and brings an index up to date with the store.

    Setting `cancelled` ends the loading early. `opening` is a bundle that another thread is opening already. The index
    builds graphs in `folder`. `snapshots` may hold an earlier state of the index. In the `background`, loading
    leaves the CPU to the serving threads. The index has only documents whose ids it `keeps`.

    Raises:
        LoadingCancelled: `cancelled` was set.
        BundleError: The bundle cannot be served, or cannot encode a document.
        SettingsError: The storage does not fit the bundle's similarity.
        DatabaseDamaged: The store is damaged.
        StoreError: The folder of the index cannot be used.
    """
    if background:
        give_way(LOADING_NICENESS)
    bundle = opening.take() if opening else open_bundle(settings)
    manifest, storage = bundle.manifest, settings.index_storage
    options = DenseOptions(
        hnsw_from_vectors=settings.hnsw_from_vectors,
        ef_search=settings.ef_search,
        workers=settings.workers,
        min_recall=settings.min_recall,
        on_build=on_build,
    )
    builder = IndexBuilder(
        store,
        bundle,
        threads=1 if background else settings.workers,
        cancelled=cancelled,
        progress=progress,
        background=background,
        keeps=keeps,
    )
    weights, probes = field_weights(manifest, settings.weights), encode_probes(bundle)

    def new_index() -> LiveIndex:
        try:
            dense = DenseIndex(manifest.dimension, manifest.similarity, storage, folder=folder, options=options)
        except OSError as error:
            raise StoreError(f"{folder} cannot be used for the index: {error.strerror}") from None
        return LiveIndex(manifest.revision, dense, weights=weights, probes=probes)

    index = None if snapshots is None else snapshots.load(new_index)
    saved_sequence = -1 if index is None else index.state.sequence
    index = index or new_index()
    try:
        if saved_sequence >= 0:
            builder.complete(index)
        builder.catch_up(index)
        if background:
            builder.wait_for_graph(index)  # Searches may use a graph now and must not lose it.
        index.measure()
        index.refresh()
        index.state.suggestions.suggest(FIRST_TYPED, limit=1)
    except BaseException:
        index.close()
        raise
    return Loaded(bundle=bundle, index=index, builder=builder, new_index=new_index, saved_sequence=saved_sequence)
