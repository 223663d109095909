"""Opens the bundle, encodes the catalogue and builds the index: everything slow that comes before serving.

It blocks for seconds, so it runs in a thread of its own and says on the log where it is.
"""

from __future__ import annotations

import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from server.catalogue.catalogue import Catalogue
from server.catalogue.document import Field
from server.cpus import give_way
from server.encoding.bundle import Bundle
from server.encoding.manifest import read_manifest
from server.encoding.tokenizer import TextKind
from server.errors import BundleError, CatalogueError, first_line
from server.index.exact import ExactIndex
from server.index.storage import DTYPE_OF, Storage, check_storage, to_storage

log = logging.getLogger(__name__)

CHUNK_TEXTS = 32
"""Texts that a thread encodes between two reports of progress."""

LOADING_NICENESS = 10
"""Of threads that load while others serve: more than that of the workers."""


@dataclass(frozen=True)
class Loaded:
    """What is served."""

    bundle: Bundle
    catalogue: Catalogue
    index: ExactIndex


class LoadingCancelled(Exception):
    """Loading was told to end early."""


def load(
    bundle: Path,
    catalogue: Catalogue,
    *,
    threads: int,
    cancelled: threading.Event,
    storage: Storage = "f32",
    native: bool = True,
    background: bool = False,
) -> Loaded:
    """Opens the bundle, checks it on this CPU, and encodes the catalogue with it.

    Args:
        bundle: The bundle's directory.
        catalogue: The documents.
        threads: Texts encoded at once.
        cancelled: Ends the loading early when it is set.
        storage: How the index keeps vectors.
        native: Whether the native encoder is allowed.
        background: Whether others are served meanwhile: they get the CPU first.

    Raises:
        LoadingCancelled: `cancelled` was set.
        BundleError: The bundle cannot be served.
        CatalogueError: The model can read nothing of one of its texts.
        SettingsError: The bundle's vectors cannot be kept in `storage`.
    """
    if background:
        give_way(LOADING_NICENESS)
    similarity = read_manifest(bundle).similarity
    check_storage(storage, similarity)
    log.info("opening the bundle %s", bundle)
    opened = Bundle(bundle, native=native)
    worst = opened.verify()
    log.info(
        "model %s computes well on this CPU (%s): worst cosine to fp32 %.4f",
        opened.manifest.name,
        opened.encoder_name,
        worst,
    )
    vectors = encode_parts(
        opened, catalogue, threads=threads, cancelled=cancelled, storage=storage, background=background
    )
    index = ExactIndex(vectors, catalogue.owners, similarity=similarity, storage=storage)
    log.info("the index keeps %d vectors as %s in %.1f MB", len(index), storage, index.vector_bytes / 1e6)
    return Loaded(opened, catalogue, index)


def encode_parts(
    bundle: Bundle,
    catalogue: Catalogue,
    *,
    threads: int,
    cancelled: threading.Event,
    storage: Storage,
    background: bool = False,
) -> NDArray[Any]:
    """Returns the vectors `[V, dimension]` of the V parts of a catalogue's documents, as they are kept.

    Raises:
        LoadingCancelled: `cancelled` was set.
        CatalogueError: The model can read nothing of one of the parts.
        BundleError: The model fails on some of them.
    """

    def encode_chunk(positions: range) -> tuple[NDArray[np.float32], int]:
        if cancelled.is_set():
            raise LoadingCancelled
        try:
            return _encode_chunk(bundle, catalogue, positions)
        except CatalogueError:
            raise
        except Exception as error:  # ONNX Runtime has no common base for its errors.
            first, last = (catalogue.parts[position].text[:40] for position in (positions[0], positions[-1]))
            raise BundleError(
                f"{bundle.directory}: the model fails on the texts {first!r} … {last!r}; "
                f"export it again ({first_line(error)})"
            ) from error

    count = len(catalogue.parts)
    chunks = [range(start, min(start + CHUNK_TEXTS, count)) for start in range(0, count, CHUNK_TEXTS)]
    started = reported = time.monotonic()
    # Chunk by chunk: all of them in f32 would take the memory that a smaller storage is to save.
    vectors = np.empty((count, bundle.manifest.dimension), dtype=DTYPE_OF[storage])
    done = cut = 0
    initializer = partial(give_way, LOADING_NICENESS) if background else None
    with ThreadPoolExecutor(threads, thread_name_prefix="catalogue", initializer=initializer) as pool:
        for chunk, chunk_cut in pool.map(encode_chunk, chunks):
            vectors[done : done + len(chunk)] = to_storage(chunk, storage)
            done += len(chunk)
            cut += chunk_cut
            if time.monotonic() - reported >= 1:
                reported = time.monotonic()
                log.info("encoding the catalogue: %d of %d texts", done, count)
    if cut:
        log.warning("texts of the catalogue that were cut, because the model sees no more of them: %d", cut)
    log.info("encoded %d texts of the catalogue in %.1f seconds", done, time.monotonic() - started)
    return vectors


def _encode_chunk(bundle: Bundle, catalogue: Catalogue, positions: range) -> tuple[NDArray[np.float32], int]:
    """Returns the vectors of some parts, and how many of them were cut.

    An example query is encoded as a query: that is what it is compared with.
    """
    parts = [catalogue.parts[position] for position in positions]
    texts = [catalogue.encoded_text(position, bundle.manifest.title_separator) for position in positions]
    kinds = [TextKind.QUERY if part.field is Field.EXAMPLE else TextKind.DOCUMENT for part in parts]
    tokens = bundle.tokenize(list(zip(texts, kinds, strict=True)))
    for part, each in zip(parts, tokens, strict=True):
        if not each.ids:
            raise CatalogueError(
                f"the model can read nothing of the {part.field.value} {part.text[:40]!r}: leave it out"
            )
    return bundle.encode(tokens), sum(each.cut for each in tokens)
