"""One replica of a shard: an index of the shard's documents that follows the log of the store."""

import logging
import threading
import time
from pathlib import Path
from typing import Any

from deploy.ray.spans import Reached, Spans
from server.catalogue.store import Store
from server.errors import ChajaError, ChangesLost, StoreUnavailable
from server.live.loading import load
from server.progress import Progress
from server.settings import Settings
from server.sharding.messages import Question
from server.sharding.placement import shard_of
from server.sharding.shard import KEPT_STATES, Shard, StateGone
from server.writing.following import AWAY_SECONDS, FAILED_SECONDS, POLL_SECONDS, WAIT_SECONDS

log = logging.getLogger(__name__)

KEPT_SPANS = 1024
"""Spans that are kept: more than states, of which those asked for lately stay longer than others."""

BEHIND_SECONDS = 0.5
"""Time for which a question waits until the shard has read the change that it asks for."""


class ShardReplica:
    """Loads a shard's documents, and answers questions about them. Any thread may ask it."""

    def __init__(self, settings: Settings, *, number: int, count: int, folder: Path) -> None:
        """Loads the documents; builds graphs in `folder`. Raises StartError."""
        assert settings.data is not None, "shards follow a store"
        self._store = Store(settings.data)
        self._ended = threading.Event()
        loaded = load(
            settings,
            self._store,
            folder=folder,
            cancelled=self._ended,
            progress=Progress(),
            keeps=lambda id: shard_of(id, count) == number,
            on_build=_ignore,
        )
        self._builder = loaded.builder
        self._graphs = loaded.index.dense.graph_generation
        self._shard = Shard(loaded.index, number=number, count=count)
        self._spans = Spans(loaded.index.state.sequence, kept=KEPT_SPANS)
        self._looked = -POLL_SECONDS
        self._lost: ChangesLost | None = None
        log.info("shard %d of %d has %d documents", number, count, loaded.index.state.counts.documents)
        self._thread = threading.Thread(target=self._run, name="follower", daemon=True)
        self._thread.start()

    def ask(self, question: Question) -> tuple[Any, ...] | None:
        """Answers a question; None if this replica does not have the state that it is about."""
        self._spans.wait(question.sequence, seconds=BEHIND_SECONDS)
        state = self._spans.state_of(question.sequence)
        if state is None:
            return None
        try:
            return self._shard.answer(question._replace(sequence=state))
        except StateGone:
            return None

    def reach(self, sequence: int, *, seconds: float) -> Reached:
        """Waits, for some seconds at most, until the replica has read a change; returns the states that it has."""
        self._spans.wait(sequence, seconds=seconds)
        return Reached(self._spans.latest(KEPT_STATES), self._shard.index.state.counts)

    def check(self) -> None:
        """Raises an error if the replica must be replaced."""
        if self._lost is not None:
            raise self._lost
        if not self._thread.is_alive():
            raise RuntimeError("the thread that follows the log has died")

    def close(self) -> None:
        """Ends the thread, and closes the store."""
        self._ended.set()
        self._thread.join()
        self._shard.index.close()
        self._store.close()

    def _run(self) -> None:
        is_away = False
        while not self._ended.is_set() and self._lost is None:
            try:
                self._follow()
                if is_away:
                    log.info("the store is back")
                is_away = False
            except ChangesLost as error:
                log.critical("%s", error)
                self._lost = error
            except StoreUnavailable as error:
                if not is_away:
                    log.error("the store is away: %s", error)
                is_away, self._looked = True, -POLL_SECONDS
                self._ended.wait(AWAY_SECONDS)
            except ChajaError as error:
                log.error("following the log failed: %s", error)
                self._ended.wait(FAILED_SECONDS)

    def _follow(self) -> None:
        index = self._shard.index
        announced = self._store.wait_for_change(WAIT_SECONDS)
        if announced > index.state.sequence or time.monotonic() - self._looked >= POLL_SECONDS:
            self._store.refresh()
            changed = 0
            if index.state.sequence < self._store.sequence:
                changed = self._builder.follow(index)
                self._shard.refresh()
            self._spans.add(index.state.sequence, changed=changed)
            self._looked = time.monotonic()
        if index.dense.graph_generation != self._graphs:
            self._graphs = index.dense.graph_generation
            self._shard.refresh()


def _ignore(*, failed: bool, seconds: float) -> None:
    log.info("built a graph in %.1f s%s", seconds, ": it failed" if failed else "")
