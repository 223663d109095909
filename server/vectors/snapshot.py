"""The index of vectors on the disk: written by whoever has a view, read once at the start.

A directory holds `dense.json`, which describes and checks everything else: the arrays, each in a file of its numbers,
and the graph's files. Those are linked, not copied, where the file system can: they never change.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from server.errors import SnapshotError, first_line
from server.files import sync
from server.similarity import Similarity
from server.vectors.building import Built
from server.vectors.layout import graph_files, row_dtype
from server.vectors.storage import Storage
from server.vectors.view import DenseView

VERSION = 2

DESCRIPTION = "dense.json"

GRAPH = "vectors.graph"


@dataclass(frozen=True)
class Snapshot:
    """What was read. The graph's own content is not yet checked.

    Attributes:
        built: The graph's files, or None where there is no graph.
        tail: The rows behind it.
        owners: As of `DenseView`, like the rest.
        parts: …
        fields: …
        longest: …
    """

    built: Built | None
    tail: NDArray[Any]
    owners: NDArray[np.int32]
    parts: NDArray[np.int32]
    fields: NDArray[np.uint8]
    longest: float


def write_snapshot(view: DenseView, directory: Path) -> None:
    """Writes a view into an empty directory, and waits until the disk has it. Others may append meanwhile.

    Raises:
        OSError: The disk is full, or the like.
    """
    arrays: dict[str, list[NDArray[Any]]] = {
        "owners": [view.owners],
        "parts": [view.parts],
        "fields": [view.fields],
        "tail": [piece.rows for piece in view.tail],
    }
    checksums = {name: _write(directory / f"{name}.bin", pieces) for name, pieces in arrays.items()}
    described: dict[str, Any] = {
        "version": VERSION,
        "usearch": importlib.metadata.version("usearch"),
        "dimension": view.dimension,
        "similarity": view.similarity,
        "storage": view.storage,
        "count": len(view),
        "graph_count": view.graph_count,
        "longest": view.longest,
        "checksums": checksums,
    }
    if view.graph is not None:
        built = view.graph.built
        targets = graph_files(directory / GRAPH, view.storage)
        for source, target in zip(graph_files(built.path, view.storage), targets, strict=True):
            _link(source, target)
        described["graph_checksums"] = built.checksums
        described["reachable"] = built.reachable
    body = json.dumps(described, sort_keys=True)
    _write(directory / DESCRIPTION, [np.frombuffer(f"{zlib.crc32(body.encode())}\n{body}\n".encode(), np.uint8)])
    sync(directory)


def read_snapshot(directory: Path, graph: Path, dimension: int, similarity: Similarity, storage: Storage) -> Snapshot:
    """Reads a snapshot and links its graph to a path of the reader's.

    Raises:
        SnapshotError: It is missing, damaged, or of another kind of index.
    """
    try:
        described = _read_description(directory / DESCRIPTION)
        expected = {
            "version": VERSION,
            "usearch": importlib.metadata.version("usearch"),
            "dimension": dimension,
            "similarity": similarity,
            "storage": storage,
        }
        for name, value in expected.items():
            if described[name] != value:
                raise SnapshotError(f"{directory} is of {name} {described[name]}, not {value}")
        checksums, count, graph_count = described["checksums"], described["count"], described["graph_count"]
        built = None
        if graph_count:
            built = Built(graph, graph_count, described["graph_checksums"], described["reachable"])
            sources = graph_files(directory / GRAPH, storage)
            for source, target in zip(sources, graph_files(graph, storage), strict=True):
                _link(source, target)

        def read(name: str, dtype: DTypeLike, numbers: int) -> NDArray[Any]:
            return _read(directory / f"{name}.bin", dtype, numbers, checksums[name])

        tail = read("tail", row_dtype(storage), (count - graph_count) * dimension).reshape(-1, dimension)
        return Snapshot(
            built=built,
            tail=tail,
            owners=read("owners", np.int32, count),
            parts=read("parts", np.int32, count),
            fields=read("fields", np.uint8, count),
            longest=described["longest"],
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SnapshotError(f"{directory} cannot be read: {first_line(error)}") from error


def _read_description(path: Path) -> dict[str, Any]:
    checksum, _, body = path.read_bytes().partition(b"\n")
    if int(checksum) != zlib.crc32(body.rstrip(b"\n")):
        raise SnapshotError(f"{path} is damaged: its checksum differs")
    described: dict[str, Any] = json.loads(body)
    return described


def _write(path: Path, pieces: list[NDArray[Any]]) -> int:
    """Writes arrays one behind the other, and returns the checksum of all."""
    checksum = 0
    with path.open("wb") as file:
        for piece in pieces:
            content = np.ascontiguousarray(piece).reshape(-1).view(np.uint8).data
            file.write(content)
            checksum = zlib.crc32(content, checksum)
        file.flush()
        os.fsync(file.fileno())
    return checksum


def _read(path: Path, dtype: DTypeLike, numbers: int, checksum: int) -> NDArray[Any]:
    content = path.read_bytes()
    if len(content) != numbers * np.dtype(dtype).itemsize or zlib.crc32(content) != checksum:
        raise SnapshotError(f"{path} is damaged: its length or checksum differs")
    return np.frombuffer(content, dtype=dtype)


def _link(source: Path, target: Path) -> None:
    """Gives a file a second name, or copies it to where it cannot have one."""
    try:
        os.link(source, target)
    except FileNotFoundError:
        raise
    except OSError:
        shutil.copyfile(source, target)
        sync(target)
