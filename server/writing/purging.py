"""Deletes from the store what no server uses any more: replaced versions of documents, and vectors of replaced models.

Each server stores at intervals which models it uses. So servers of one store may serve different bundles.
"""

import math
import time

from server.catalogue.store import RETIRED_SECONDS, Store

PURGED_VERSIONS = 200
"""Replaced versions that are deleted at a time."""

FORGOTTEN_VECTORS = 200
"""Vectors of other models that are deleted at a time."""

STORED_PER_PERIOD = 4
"""Times that the use of a model is stored within the time for which unused vectors are kept."""


class Purger:
    """Purges a store, a little at a time, because writers may have to wait. One thread uses it at a time."""

    def __init__(self, store: Store, served: str, *, keep_vectors_seconds: float) -> None:
        """Keeps the vectors of models for `keep_vectors_seconds` after their last use, or until calls have ended.

        This server uses those of the revision `served`; the first `purge` stores that.
        """
        self._store = store
        self._keep_seconds = max(RETIRED_SECONDS, keep_vectors_seconds)
        self._used = {served}
        self._stored = -math.inf
        self._forgotten: set[str] = set()

    def use(self, *revisions: str) -> None:
        """Stores that this server uses the vectors of some models, and from now on no others."""
        # Those that it has used may still be fetched by calls in flight.
        with self._store.maintenance() as transaction:
            for revision in sorted(self._used.union(revisions)):
                transaction.use_vectors(revision)
        self._used, self._stored = set(revisions), time.monotonic()

    def purge(self) -> bool:
        """Deletes a portion; returns whether there is more to delete. Raises StoreFull or StoreUnavailable."""
        if time.monotonic() - self._stored > self._keep_seconds / STORED_PER_PERIOD:
            self.use(*self._used)
        more = self._store.purge(limit=PURGED_VERSIONS) == PURGED_VERSIONS
        unused = set(self._store.unused_revisions(self._keep_seconds)) - self._used
        self._forgotten &= unused
        for revision in sorted(unused - self._forgotten):
            with self._store.maintenance() as transaction:
                if transaction.forget_vectors(revision, limit=FORGOTTEN_VECTORS):
                    more = True
                else:
                    self._forgotten.add(revision)
        return more
