"""Rewrites a graph's file in another order of its rows and nodes. A search finds the same.

USearch's file (version 2.26) is little-endian: the number of rows and the bytes of each (u32), the rows, 64 bytes that
describe them, five u64 (the number of nodes, how many neighbours have room above level 0 and at it, the highest level,
the node where searches enter), the level of each node (i16), and the nodes. A node is the position of its row (u64),
its level (i16), and for each level from 0 up a list of neighbours: their number, and the place of each (u32). The node
and the row at the same place belong together.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from server.errors import BuildFailed, first_line
from server.vectors.layout import HEADER_BYTES, graph_rows, map_rows, places_path, rows_path
from server.vectors.storage import Storage

DESCRIPTION_BYTES = 64

FACTS_BYTES = 40

ENTRY = 4
"""Which of the facts says where searches enter."""

NODE_BYTES = 10

BLOCK_ROWS = 8192


def arrange(graph: Path, out: Path, order: NDArray[np.int64], *, dimension: int, storage: Storage) -> None:
    """Writes the files of a graph anew in another order, and that of its places.

    Args:
        graph: The file of the graph, with the rows of an i8 graph beside it.
        out: The file to write.
        order: For each place the one at which what belongs there is now, `[N]`, each once.
        dimension: Numbers of a vector.
        storage: How vectors are kept.

    Raises:
        BuildFailed: The file is laid out in another way.
    """
    try:
        _arrange(graph, out, order, dimension=dimension, storage=storage)
    except (IndexError, ValueError) as error:
        raise BuildFailed(f"{graph} is not laid out as USearch 2.26 does: {first_line(error)}") from error


def _arrange(graph: Path, out: Path, order: NDArray[np.int64], *, dimension: int, storage: Storage) -> None:
    count = len(order)
    mapped, rows = map_rows(graph, count, dimension=dimension, storage=storage)
    compared = graph_rows(mapped, count)
    rows_end = HEADER_BYTES + compared.nbytes
    nodes = _Nodes(mapped, rows_end + DESCRIPTION_BYTES, count)
    with out.open("wb") as file:
        file.write(mapped[:HEADER_BYTES].data)
        _write_rows(file, compared, order)
        file.write(mapped[rows_end : rows_end + DESCRIPTION_BYTES].data)
        nodes.write(file, order)
    if storage == "i8":
        with rows_path(out).open("wb") as file:
            _write_rows(file, rows, order)
    places = np.empty(count, np.uint32)
    places[nodes.positions[order]] = np.arange(count, dtype=np.uint32)
    places_path(out).write_bytes(places.data)


def _write_rows(file: BinaryIO, rows: NDArray[Any], order: NDArray[np.int64]) -> None:
    for start in range(0, len(order), BLOCK_ROWS):
        file.write(rows[order[start : start + BLOCK_ROWS]].data)


class _Nodes:
    """The part of a mapped file that follows the rows and what describes them.

    Attributes:
        positions: For each node that of its row.
    """

    def __init__(self, mapped: NDArray[np.uint8], start: int, count: int) -> None:
        levels = start + FACTS_BYTES
        nodes = levels + 2 * count
        self._mapped = mapped
        self._facts = mapped[start:levels].view(np.uint64)
        self._room_above, self._room_below = (int(fact) for fact in self._facts[1:3])
        self._levels = mapped[levels:nodes].view(np.int16)
        self._sizes = self._size_at(self._levels.astype(np.int64))
        self._starts = nodes + np.cumsum(self._sizes) - self._sizes
        if self._facts[0] != count or nodes + self._sizes.sum() != len(mapped):
            raise ValueError("its nodes do not end where it does")
        self.positions = self._gather(np.arange(count), 8).view(np.uint64)[:, 0].astype(np.int64)
        if not np.array_equal(np.sort(self.positions), np.arange(count)):
            raise ValueError("it does not have every position once")

    def write(self, file: BinaryIO, order: NDArray[np.int64]) -> None:
        """Writes the nodes of an order, which are told of each other's new places."""
        places = np.empty(len(order), np.uint32)
        places[order] = np.arange(len(order), dtype=np.uint32)
        facts = self._facts.copy()
        facts[ENTRY] = places[int(facts[ENTRY])]
        file.write(facts.data)
        file.write(self._levels[order].data)
        for start in range(0, len(order), BLOCK_ROWS):
            file.write(self._moved(order[start : start + BLOCK_ROWS], places).data)

    def _moved(self, chosen: NDArray[np.int64], places: NDArray[np.uint32]) -> NDArray[np.uint8]:
        """Returns some nodes one behind the other, with the new places of their neighbours."""
        levels, sizes = self._levels[chosen], self._sizes[chosen]
        starts = np.cumsum(sizes) - sizes
        moved = np.empty(int(sizes.sum()), np.uint8)
        for level in np.unique(levels).tolist():
            here = np.flatnonzero(levels == level)
            nodes = self._gather(chosen[here], self._size_at(level))
            start = NODE_BYTES
            for room in (self._room_below, *(self._room_above for _ in range(level))):
                lists = np.ascontiguousarray(nodes[:, start : start + 4 * (1 + room)]).view(np.uint32)
                if (lists[:, 0] > room).any():
                    raise ValueError("a node has more neighbours than there is room for")
                neighbours = lists[:, 1:]
                there = np.arange(room) < lists[:, :1]
                neighbours[there] = places[neighbours[there]]
                neighbours[~there] = 0
                nodes[:, start : start + 4 * (1 + room)] = lists.view(np.uint8)
                start += 4 * (1 + room)
            moved[starts[here, None] + np.arange(nodes.shape[1])] = nodes
        return moved

    def _size_at(self, levels: Any) -> Any:
        """Returns the bytes of nodes of some levels."""
        return NODE_BYTES + 4 * (1 + self._room_below) + levels * 4 * (1 + self._room_above)

    def _gather(self, nodes: NDArray[np.int64], width: int) -> NDArray[np.uint8]:
        """Returns the first bytes of some nodes, `[N, width]`."""
        gathered: NDArray[np.uint8] = self._mapped[self._starts[nodes, None] + np.arange(width)]
        return gathered
