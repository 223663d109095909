"""A shard: a live index of the documents whose ids are its own, and the states that it has had lately."""

import threading
from collections.abc import Sequence
from typing import Any

from server.catalogue.encoded import Versioned
from server.errors import NotReady
from server.live.index import LiveIndex
from server.ranking.state import State
from server.sharding.messages import Question
from server.sharding.placement import shard_of

KEPT_STATES = 32
"""States that a shard keeps, those asked for lately before others: a search asks all shards for the same one, several
times, and some may already have later ones."""


class StateGone(NotReady):
    """A shard does not have the state that a search asks for: no longer, or not yet."""


class Shard:
    """One of `count` shards. One thread changes it; any thread may ask it."""

    def __init__(self, index: LiveIndex, *, number: int, count: int, kept_states: int = KEPT_STATES) -> None:
        """Takes over an index, which has no other documents than those of the shard."""
        self.index = index
        self._number, self._count, self._kept_states = number, count, kept_states
        self._lock = threading.Lock()
        self._states: dict[int, State] = {}
        self._keep()

    def owns(self, id: str) -> bool:
        """Returns whether the document with an id belongs to this shard."""
        return shard_of(id, self._count) == self._number

    def follow(self, added: Sequence[Versioned], retired: Sequence[int], *, sequence: int) -> None:
        """Follows changes of the whole log, of which it keeps its own documents; see `LiveIndex.follow`.

        All shards must follow the same groups of changes, so that they have the same sequences. Documents of other
        shards need no vectors.
        """
        self.index.follow([each for each in added if self.owns(each.document.id)], retired, sequence=sequence)
        self._keep()

    def refresh(self) -> None:
        """Publishes improvements that were made in the background, such as a new graph."""
        self.index.refresh()
        self._keep()

    @property
    def sequences(self) -> list[int]:
        """The sequences of the states that it has, ascending."""
        with self._lock:
            return sorted(self._states)

    def answer(self, question: Question) -> tuple[Any, ...]:
        """Answers all requests of a question; raises StateGone."""
        with self._lock:
            state = self._states.pop(question.sequence, None)
            if state is None:
                raise StateGone(f"shard {self._number} does not have the documents of sequence {question.sequence}")
            self._states[question.sequence] = state  # The search may ask for it again: it is the last one to go.
        corpus = state.corpus(question.filter)
        return tuple(request.answer(corpus) for request in question.requests)

    def _keep(self) -> None:
        state = self.index.state
        with self._lock:
            known = self._states.get(state.sequence)
            if known is not None and known.slots.live is not state.slots.live:
                return  # Changes are being applied in portions: the state of the sequence is that before them.
            self._states.pop(state.sequence, None)
            self._states[state.sequence] = state
            while len(self._states) > self._kept_states:
                del self._states[next(iter(self._states))]
