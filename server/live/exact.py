"""An index that is searched exactly, to measure search without a graph's approximations."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from server.catalogue.document import Field
from server.encoding.manifest import Manifest
from server.live.index import LiveIndex, field_weights
from server.ranking.probes import EncodedProbes
from server.vectors.dense import DenseIndex, DenseOptions

NEVER = 2**31
"""More vectors than an index has."""


def exact_index(
    manifest: Manifest,
    probes: EncodedProbes,
    *,
    folder: Path,
    weights: Mapping[Field, float] = MappingProxyType({}),
) -> LiveIndex:
    """Returns an empty index of a bundle that compares every vector. It uses a temporary folder in `folder`.

    `weights` are the factors of fields that replace the bundle's.
    """
    options = DenseOptions(hnsw_from_vectors=NEVER)
    dense = DenseIndex(manifest.dimension, manifest.similarity, "f16", folder=folder, options=options)
    return LiveIndex(manifest.revision, dense, probes=probes, weights=field_weights(manifest, weights))
