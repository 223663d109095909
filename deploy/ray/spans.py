"""The sequences for which a shard has a state.

A shard reads the log at its own pace, so two shards hardly ever stop at the same sequence. But a state is right for
all sequences from the last change of the shard's own documents to the last one that was read: what lies between them
belongs to other shards. A search uses a sequence that lies in a span of every shard.
"""

import threading
import time
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from server.ranking.served import Counts


class Span(NamedTuple):
    """The first and the last sequence for which the state of a sequence is right."""

    first: int
    last: int
    state: int


class Reached(NamedTuple):
    """The states that a replica of a shard has, and the numbers of its documents."""

    spans: list[Span]
    counts: Counts


class Spans:
    """The latest spans of a shard, ascending. One thread adds spans; any thread may read them."""

    def __init__(self, sequence: int, *, kept: int) -> None:
        """Begins with the state of one sequence; keeps at most `kept` spans."""
        self._spans = [Span(sequence, sequence, sequence)]
        self._kept = kept
        self._added = threading.Condition()

    def add(self, sequence: int, *, changed: int) -> None:
        """Adds the state of a sequence; `changed` is the last own change since the state before it, 0 if none."""
        with self._added:
            last = self._spans[-1]
            if changed:
                self._spans = [*self._spans, Span(max(changed, last.last + 1), sequence, sequence)][-self._kept :]
            else:
                self._spans[-1] = last._replace(last=max(sequence, last.last))
            self._added.notify_all()

    @property
    def all(self) -> list[Span]:
        """The spans."""
        with self._added:
            return list(self._spans)

    def latest(self, count: int) -> list[Span]:
        """Returns the latest spans, at most `count`."""
        return self.all[-count:]

    def wait(self, sequence: int, *, seconds: float) -> bool:
        """Waits until the shard has read the change with a sequence; returns whether it has."""
        until = time.monotonic() + seconds
        with self._added:
            while self._spans[-1].last < sequence:
                if (left := until - time.monotonic()) <= 0:
                    return False
                self._added.wait(left)
        return True

    def state_of(self, sequence: int) -> int | None:
        """Returns the sequence of the state that is right for a sequence; None if there is none."""
        return next((each.state for each in self.all if each.first <= sequence <= each.last), None)


def newest_common(shards: Sequence[Iterable[Span]]) -> int | None:
    """Returns the newest sequence for which all shards have a state; None if there is none."""
    spans = [list(each) for each in shards]
    candidates = sorted({span.last for each in spans for span in each}, reverse=True)
    for sequence in candidates:
        if all(any(span.first <= sequence <= span.last for span in each) for each in spans):
            return sequence
    return None
