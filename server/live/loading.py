"""Opens the bundle and brings a live index up to the store: everything slow that comes before serving.

It blocks for seconds, so it runs in a thread of its own.
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
    """What an operator has decided of the model and its index.

    Attributes:
        weights: Factors of the similarities of each field, instead of the bundle's own.
        folder: Where graphs are built.
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
    """What is served: a model, and the index that follows the store with it.

    Attributes:
        new_index: Returns an empty one.
        saved_sequence: That of the snapshot which the index came from; -1 if it came from none.
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
    """Opens the bundle, checks it on this CPU, and brings an index up to the store.

    Setting `cancelled` ends the loading early. With an `opening` a thread opens the bundle already. `snapshots` may
    hold the index as it was. In the `background`, those who are served get the CPU first.

    Raises:
        LoadingCancelled: `cancelled` was set.
        BundleError: The bundle cannot be served, or can make nothing of a document.
        SettingsError: The bundle's vectors cannot be kept in the storage.
        DatabaseDamaged: The store is damaged.
        StoreError: There is no room for the index.
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
            index.dense.wait()  # Searches may have a graph now, and are not to be without one.
        index.measure()
        index.refresh()
    except BaseException:
        index.close()
        raise
    return Loaded(bundle=bundle, index=index, builder=builder, new_index=new_index, saved_sequence=saved_sequence)


def field_weights(manifest: Manifest, chosen: Mapping[Field, float] | None = None) -> tuple[float, ...]:
    """Returns the weights in the order of `FIELDS`: those chosen, and the bundle's own for the other fields."""
    own = {Field.TITLE: manifest.weights.title, Field.TEXT: manifest.weights.text}
    own[Field.EXAMPLE] = manifest.weights.example
    weights = own | dict(chosen or {})
    return tuple(weights[each] for each in FIELDS)


def probes_of(bundle: Bundle) -> Probes:
    """Returns the probes as a bundle sees them, with the vectors that it keeps of them if it does."""
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
