"""Rows that one thread appends while others read.

The rows are in blocks that never move: growing copies nothing, and views stay valid.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

BLOCK_ROWS = 8192


class RowBlock(NamedTuple):
    """Consecutive rows as they are stored, and the same rows in f32 unless they are too many to be kept twice."""

    rows: NDArray[Any]
    wide: NDArray[np.float32] | None


class Rows:
    """Rows from the position `start` on; `count` is the position after the last. One thread appends."""

    def __init__(self, dimension: int, dtype: DTypeLike, *, start: int = 0) -> None:
        self._shape = (BLOCK_ROWS, dimension)
        self._dtype = np.dtype(dtype)
        self._first_block = start // BLOCK_ROWS
        self._blocks: list[NDArray[Any]] = []
        # The same in f32, which BLAS compares faster: every search compares these rows, which are few.
        self._wide = self._blocks if self._dtype == np.float32 else []
        self.count = start

    def append(self, rows: NDArray[Any]) -> None:
        """Appends copies of rows."""
        done = 0
        while done < len(rows):
            block, offset = divmod(self.count, BLOCK_ROWS)
            if block - self._first_block == len(self._blocks):
                self._blocks.append(np.empty(self._shape, dtype=self._dtype))
                if self._wide is not self._blocks:
                    self._wide.append(np.empty(self._shape, dtype=np.float32))
            part = rows[done : done + BLOCK_ROWS - offset]
            for blocks in (self._blocks, self._wide):
                blocks[block - self._first_block][offset : offset + len(part)] = part
            self.count += len(part)
            done += len(part)

    def drop_before(self, position: int) -> None:
        """Frees the blocks that end before a position."""
        whole = min(position // BLOCK_ROWS - self._first_block, len(self._blocks))
        if whole > 0:
            del self._blocks[:whole]
            if self._wide is not self._blocks:
                del self._wide[:whole]
            self._first_block += whole

    def blocks(self, start: int) -> list[RowBlock]:
        """Returns the rows from a position on."""
        found = []
        for number, arrays in enumerate(zip(self._blocks, self._wide, strict=True), self._first_block):
            first = number * BLOCK_ROWS
            block = RowBlock(*(array[max(start - first, 0) : self.count - first] for array in arrays))
            if len(block.rows):
                found.append(block)
        return found
