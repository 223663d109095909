"""Follows the changes that other servers make in the same store.

A thread waits for their announcements, and looks for changes at intervals as well. It also notices when the store is
away, and when it has lost changes that were acknowledged.
"""

import asyncio
import logging
import threading
import time

from server.catalogue.store import Store
from server.errors import ChajaError, ChangesLost, LoadingCancelled, StoreUnavailable
from server.writing.committer import Committer

log = logging.getLogger(__name__)

POLL_SECONDS = 2.0
"""Time between two looks for changes that were not announced."""

WAIT_SECONDS = 0.2
"""Time of one wait for an announcement. `close` takes as long."""

ANSWER_SECONDS = 2.0
"""Time after which a store that does not answer counts as away, though it may only take long."""

AWAY_SECONDS = 0.5
"""Pause after the store was away."""

FAILED_SECONDS = 5.0
"""Pause after another error."""


class Follower:
    """Keeps the index of a committer up to date with a store that others change.

    Attributes:
        lost: Done when the store has lost changes that were acknowledged: it is not used any more.
    """

    def __init__(self, store: Store, committer: Committer) -> None:
        """Starts the thread, unless no others can change the store. Call it on the event loop."""
        self._store = store
        self._committer = committer
        self._loop = asyncio.get_running_loop()
        self.lost: asyncio.Future[None] = self._loop.create_future()
        self._away_since: float | None = None
        self._asked_since: float | None = None  # While it waits for an answer of the store.
        self._looked = -POLL_SECONDS
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="follower", daemon=True)
        if store.is_shared:
            self._thread.start()

    @property
    def is_away(self) -> bool:
        """Whether the store was away at the last look."""
        return self._away_since is not None

    @property
    def away_seconds(self) -> float:
        """Time since the store has been away, or has not answered; 0 if it answers."""
        since = self._away_since or self._asked_since
        seconds = 0.0 if since is None else time.monotonic() - since
        return seconds if self.is_away or seconds > ANSWER_SECONDS else 0.0

    def look(self) -> None:
        """Applies the changes that the store has now. Blocks; any thread may call it. Raises StoreUnavailable."""
        self._store.refresh()
        self._committer.catch_up()

    def close(self) -> None:
        """Ends the thread. Blocks; the event loop must be running."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                self._follow()
            except LoadingCancelled:  # The server is shutting down.
                return
            except StoreUnavailable as error:
                self._miss(error)
                self._ended.wait(AWAY_SECONDS)
            except ChajaError as error:
                log.error("following the changes of other servers failed: %s", error)
                self._ended.wait(FAILED_SECONDS)
            except Exception:
                log.exception("following the changes of other servers failed")
                self._ended.wait(FAILED_SECONDS)

    def _follow(self) -> None:
        self._asked_since = time.monotonic()
        try:
            announced = self._store.wait_for_change(WAIT_SECONDS)
            is_due = time.monotonic() - self._looked >= POLL_SECONDS
            if not is_due and announced <= self._committer.index.state.sequence:
                return
            self._store.refresh()
        finally:
            self._asked_since = None
        self._committer.catch_up()
        self._looked = time.monotonic()
        if self.is_away:
            log.info("the store is back")
            self._away_since = None

    def _miss(self, error: StoreUnavailable) -> None:
        """Notes that the store is away, or has lost changes."""
        self._looked = -POLL_SECONDS  # Announcements may be missed until it is back.
        if isinstance(error, ChangesLost):
            self._loop.call_soon_threadsafe(self._lose, error)
        elif not self.is_away:
            log.error("the store is away: %s", error)
        if self._away_since is None:
            self._away_since = time.monotonic()

    def _lose(self, error: ChangesLost) -> None:
        if not self.lost.done():
            log.critical("%s", error)
            self.lost.set_result(None)
