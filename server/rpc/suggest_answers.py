"""The answers to requests for suggestions, kept until the catalogue changes: users type the same beginnings."""

import weakref

KEPT_BYTES = 2**23
KEPT_ANSWERS = 20_000
KEPT_ANSWER_BYTES = 2**14
"""Bounds of all answers, and of each with its request."""


class SuggestAnswers:
    """The serialized answers of the newest completions. Used on the event loop."""

    def __init__(self) -> None:
        self._completions: weakref.ref[object] | None = None  # A replaced index must not stay in memory.
        self._kept: dict[bytes, bytes] = {}
        self._kept_bytes = 0

    def get(self, request: bytes, completions: object) -> bytes | None:
        """Returns the answer of completions to a serialized request; None if it is not kept."""
        return self._kept.get(request) if self._is_of(completions) else None

    def keep(self, request: bytes, completions: object, answer: bytes) -> None:
        """Keeps the answer of completions instead of those of others."""
        size = len(request) + len(answer)
        if size > KEPT_ANSWER_BYTES:
            return
        full = len(self._kept) >= KEPT_ANSWERS or self._kept_bytes + size > KEPT_BYTES
        if full or not self._is_of(completions):
            self._completions, self._kept, self._kept_bytes = weakref.ref(completions), {}, 0
        self._kept[request] = answer
        self._kept_bytes += size

    def _is_of(self, completions: object) -> bool:
        return self._completions is not None and self._completions() is completions
