"""The snapshots of the live index, which make a start fast.

A new snapshot is written beside the old one and replaces it when it is complete. An unusable snapshot is removed.
If none is left, the index is built from the store.
"""

import contextlib
import logging
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np

from server.attributes.columns import COLUMNS_VERSION
from server.catalogue.store import Store
from server.errors import SnapshotError, StoreError, first_line
from server.files import sync
from server.lexical.tokens import TERMS_VERSION
from server.live.index import LiveIndex, snapshot_parts
from server.ranking.state import State
from server.snapshot import Facts, read_snapshot, write_snapshot
from server.vectors.building import GRAPHS_PREFIX

log = logging.getLogger(__name__)

WHOLE = "snapshot-"
UNFINISHED = "unfinished-"


class SnapshotFolder:
    """The snapshots in one folder. The newest is used. Only one is saved at a time."""

    def __init__(self, folder: Path, store: Store) -> None:
        """Opens or makes the folder, and removes unfinished files of a killed process; raises StoreError."""
        self._folder = folder
        self._store = store
        self._saving = threading.Lock()
        try:
            folder.mkdir(0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"{folder} cannot be used for the index: {error.strerror}") from None
        for pattern in (f"{UNFINISHED}*", f"{GRAPHS_PREFIX}*"):
            for path in folder.glob(pattern):
                shutil.rmtree(path, ignore_errors=True)

    def save(self, state: State, revision: str) -> None:
        """Writes a snapshot, while searches and changes continue. After an OSError the earlier snapshot is kept."""
        name = f"{state.sequence:020d}"
        unfinished, whole = self._folder / f"{UNFINISHED}{name}", self._folder / f"{WHOLE}{name}"
        facts, parts = self._facts(state, revision), snapshot_parts(state)
        with self._saving:
            try:
                unfinished.mkdir()
                write_snapshot(unfinished, facts, parts=parts, files=state.dense.files)
                older = [path for path in self._whole() if path != whole]
                if whole.exists():  # A snapshot of the same sequence, with another graph.
                    aside = self._folder / f"{UNFINISHED}{name}-before"
                    whole.rename(aside)
                    older.append(aside)
                unfinished.rename(whole)
                sync(self._folder)
                for path in older:
                    shutil.rmtree(path, ignore_errors=True)
            finally:
                shutil.rmtree(unfinished, ignore_errors=True)

    def saved_seconds(self) -> float:
        """Returns the Unix time of the newest snapshot, 0 if there is none."""
        with contextlib.suppress(OSError):
            return max((path.stat().st_mtime for path in self._whole()), default=0.0)
        return 0.0

    def load(self, new_index: Callable[[], LiveIndex]) -> LiveIndex | None:
        """Returns the live index from the newest snapshot; None if no snapshot can be used."""
        for path in reversed(self._whole()):
            index = new_index()
            try:
                self._restore(index, path)
            except SnapshotError as error:
                index.close()
                log.warning("removing an unusable snapshot: %s", error)
                # If the store was reset to an older state, the snapshot could seem valid again later.
                shutil.rmtree(path, ignore_errors=True)
            else:
                log.info("the index was loaded from the snapshot %s", path)
                return index
        return None

    def _restore(self, index: LiveIndex, path: Path) -> None:
        snapshot = read_snapshot(path, self._facts(index.state, index.revision))
        live_now = self._store.live_sequences()
        try:
            sequence, sequences = (snapshot.parts["slots"][name] for name in ("sequence", "sequences"))
            known = live_now[live_now <= sequence]
            if not self._store.has_sequence(int(sequence)) or not np.isin(known, sequences, assume_unique=True).all():
                raise SnapshotError(f"{path} does not match the state of the store")
            index.restore(snapshot, live_sequences=known)
        except (OSError, KeyError, ValueError) as error:
            raise SnapshotError(f"{path} cannot be used: {first_line(error)}") from error

    def _facts(self, state: State, revision: str) -> Facts:
        versions: Facts = {"terms": TERMS_VERSION, "columns": COLUMNS_VERSION}
        return {"store": self._store.id, "revision": revision, **versions, **state.dense.facts}

    def _whole(self) -> list[Path]:
        return sorted(self._folder.glob(f"{WHOLE}*"))
