"""Opens the bundle and brings a live index up to date with the store, before the server serves.

It blocks for seconds, so it runs in a separate thread.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from server.catalogue.document import Field
from server.catalogue.store import Store
from server.cpus import give_way
from server.encoding.bundle import Bundle
from server.encoding.kind import TextKind
from server.encoding.manifest import Manifest
from server.errors import StoreError
from server.live.building import LOADING_NICENESS, IndexBuilder
from server.live.index import FIELDS, LiveIndex
from server.live.opening import Opening, open_bundle
from server.live.snapshots import SnapshotFolder
from server.ranking.baseline import Probes
from server.ranking.probes import probe_texts, probes_file
from server.vectors.dense import DenseIndex, DenseOptions
from server.vectors.storage import Storage


@dataclass(frozen=True, kw_only=True)
class LoadingOptions:
    """The operator's options for the model and its index.

    Attributes:
        weights: Factors of the similarities of fields, instead of the bundle's.
        folder: Directory in which graphs are built.
    """

    bundle: Path
    native: bool
    storage: Storage
    weights: Mapping[Field, float]
    overlap_tokens: int
    dense: DenseOptions
    folder: Path


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """A model and its live index, ready to serve.

    Attributes:
        new_index: Makes an empty index.
        saved_sequence: Sequence of the snapshot from which the index was loaded; -1 if there was none.
    """

    bundle: Bundle
    index: LiveIndex
    builder: IndexBuilder
    new_index: Callable[[], LiveIndex]
    saved_sequence: int = -1


def load(
    options: LoadingOptions,
    store: Store,
    *,
    threads: int,
    cancelled: threading.Event,
    opening: Opening | None = None,
    snapshots: SnapshotFolder | None = None,
    background: bool = False,
) -> Loaded:
    """Opens the bundle, verifies it on this CPU, and brings an index up to date with the store.

    Setting `cancelled` ends the loading early. `opening` is a bundle that another thread is opening already.
    `snapshots` may hold an earlier state of the index. In the `background`, loading leaves the CPU to the serving
    threads.

    Raises:
        LoadingCancelled: `cancelled` was set.
        BundleError: The bundle cannot be served, or cannot encode a document.
        SettingsError: The storage does not fit the bundle's similarity.
        DatabaseDamaged: The store is damaged.
        StoreError: The folder of the index cannot be used.
    """
    if background:
        give_way(LOADING_NICENESS)
    bundle = opening.take() if opening else open_bundle(options.bundle, native=options.native, storage=options.storage)
    manifest = bundle.manifest
    builder = IndexBuilder(
        store,
        bundle,
        threads=threads,
        overlap_tokens=options.overlap_tokens,
        cancelled=cancelled,
        background=background,
    )
    weights, probes = field_weights(manifest, options.weights), probes_of(bundle)

    def new_index() -> LiveIndex:
        return LiveIndex(manifest.revision, _new_dense(options, manifest), weights=weights, probes=probes)

    index = None if snapshots is None else snapshots.load(new_index)
    saved_sequence = -1 if index is None else index.state.sequence
    index = index or new_index()
    try:
        builder.catch_up(index)
        if background:
            builder.wait_for_graph(index)  # Searches may use a graph now and must not lose it.
        index.measure()
        index.refresh()
    except BaseException:
        index.close()
        raise
    return Loaded(bundle=bundle, index=index, builder=builder, new_index=new_index, saved_sequence=saved_sequence)


def field_weights(manifest: Manifest, chosen: Mapping[Field, float] | None = None) -> tuple[float, ...]:
    """Returns the weights in the order of `FIELDS`: `chosen` ones, and the bundle's for the other fields."""
    own = {Field.TITLE: manifest.weights.title, Field.TEXT: manifest.weights.text}
    own[Field.EXAMPLE] = manifest.weights.example
    weights = own | dict(chosen or {})
    return tuple(weights[each] for each in FIELDS)


def probes_of(bundle: Bundle) -> Probes:
    """Returns the probes encoded by a bundle; uses their vectors in the bundle if it has them."""
    stored = bundle.probe_vectors(probes_file(), probe_texts())

    def encode(queries: Sequence[str]) -> NDArray[np.float32]:
        if stored is None:
            return bundle.encode_texts([(query, TextKind.QUERY) for query in queries])
        return np.stack([stored[query] for query in queries])

    manifest = bundle.manifest
    return Probes(encode, compares_queries=manifest.similarity == "cosine" and manifest.document is None)


def _new_dense(options: LoadingOptions, manifest: Manifest) -> DenseIndex:
    try:
        return DenseIndex(
            manifest.dimension, manifest.similarity, options.storage, folder=options.folder, options=options.dense
        )
    except OSError as error:
        raise StoreError(f"{options.folder} cannot be used for the index: {error.strerror}") from None
