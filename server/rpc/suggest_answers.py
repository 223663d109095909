"""The answers to requests for suggestions, kept until the catalogue changes: users type the same beginnings."""

import weakref

from server.suggest.view import SuggestView

KEPT_BYTES = 2**23
KEPT_ANSWERS = 20_000
KEPT_ANSWER_BYTES = 2**14
"""Bounds of all answers, and of each with its request."""


class SuggestAnswers:
    """The serialized answers of the newest view. Used on the event loop."""

    def __init__(self) -> None:
        self._view: weakref.ref[SuggestView] | None = None  # A replaced index must not stay in memory.
        self._kept: dict[bytes, bytes] = {}
        self._kept_bytes = 0

    def get(self, request: bytes, view: SuggestView) -> bytes | None:
        """Returns the answer of a view to a serialized request; None if it is not kept."""
        return self._kept.get(request) if self._is_of(view) else None

    def keep(self, request: bytes, view: SuggestView, answer: bytes) -> None:
        """Keeps the answer of a view instead of those of others."""
        size = len(request) + len(answer)
        if size > KEPT_ANSWER_BYTES:
            return
        full = len(self._kept) >= KEPT_ANSWERS or self._kept_bytes + size > KEPT_BYTES
        if full or not self._is_of(view):
            self._view, self._kept, self._kept_bytes = weakref.ref(view), {}, 0
        self._kept[request] = answer
        self._kept_bytes += size

    def _is_of(self, view: SuggestView) -> bool:
        return self._view is not None and self._view() is view
