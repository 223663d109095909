"""An array that grows at its end, while others read what it had before."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

GROWTH = 1.5
"""How much larger the memory becomes when it is full: at most a third of it stands empty."""


class Growing:
    """Has one writer. A view that was returned never changes, because nothing is written where it reads."""

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
        """Returns what there is now."""
        return self._items[: self._count]
