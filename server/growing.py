"""An array that grows at its end while other threads read its earlier items."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

GROWTH = 1.5
"""Factor by which the memory grows when it is full. At most a third of it is unused."""


class Growing:
    """An array with one writer. A view never changes, because new items are written after its end."""

    def __init__(self, items: NDArray[Any]) -> None:
        self._items = items
        self._count = len(items)

    def extend(self, items: ArrayLike) -> None:
        """Appends items."""
        added = np.asarray(items, self._items.dtype)
        end = self._count + len(added)
        if end > len(self._items):
            larger = np.empty((max(end, int(GROWTH * len(self._items))), *self._items.shape[1:]), self._items.dtype)
            larger[: self._count] = self.view()
            self._items = larger
        self._items[self._count : end] = added
        self._count = end

    def view(self) -> NDArray[Any]:
        """Returns a view of the current items."""
        return self._items[: self._count]
