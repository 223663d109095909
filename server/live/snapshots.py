"""Snapshots of the live index: what makes a start fast, and is never trusted blindly.

    DIR/snapshot-1234/live.json     what it is of, and the checksum of the roster
    DIR/snapshot-1234/…             the followers' files, each with checksums of its own

A snapshot is written beside the one before and takes its place when it is whole. Whatever is wrong with one, it is left
aside, and the index is built from the store.
"""

from __future__ import annotations

import logging
import shutil
import threading
import zlib
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np

from server.attributes.columns import Columns
from server.catalogue.store import Store
from server.errors import SnapshotError, StoreError, first_line
from server.files import sync, write_synced
from server.lexical.index import LexicalIndex
from server.lexical.titles import Titles
from server.live.index import LiveIndex
from server.ranking.roster import Roster
from server.ranking.state import State
from server.vectors.dense import DenseIndex
from server.vectors.snapshot import write_snapshot

log = logging.getLogger(__name__)

VERSION = 1

DESCRIPTION = "live.json"
SEQUENCES = "sequences.bin"
FOLLOWERS = ("dense", "lexical", "titles", "columns")

WHOLE = "snapshot-"
UNFINISHED = "unfinished-"


class Description(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a snapshot is of."""

    version: int
    store: str
    revision: str
    sequence: int
    slots: int
    checksum: int


class Snapshots:
    """The snapshots in one folder, of which the newest counts. They are saved one after the other."""

    def __init__(self, folder: Path, store: Store) -> None:
        """Takes the folder, and removes what a killed process has left unfinished.

        Raises:
            StoreError: The folder cannot be used.
        """
        self._folder = folder
        self._store = store
        self._saving = threading.Lock()
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"{folder} cannot be used for the index: {error.strerror}") from None
        for pattern in (f"{UNFINISHED}*", "graphs-*"):
            for path in folder.glob(pattern):
                shutil.rmtree(path, ignore_errors=True)

    def save(self, state: State, revision: str) -> None:
        """Writes a snapshot of a state. Searches and changes go on meanwhile.

        Raises:
            OSError: The disk is full, or the like; the snapshot before is still there.
        """
        with self._saving:
            self._save(state, revision)

    def _save(self, state: State, revision: str) -> None:
        name = f"{state.sequence:020d}"
        unfinished = self._folder / f"{UNFINISHED}{name}"
        try:
            for follower in FOLLOWERS:
                (unfinished / follower).mkdir(parents=True)
            write_snapshot(state.dense, unfinished / "dense")
            state.lexical.save(unfinished / "lexical")
            state.titles.save(unfinished / "titles")
            state.columns.save(unfinished / "columns")
            sequences = state.roster.sequences.astype("<i8").tobytes()
            description = Description(
                version=VERSION,
                store=self._store.id,
                revision=revision,
                sequence=state.sequence,
                slots=len(state.roster.sequences),
                checksum=zlib.crc32(sequences),
            )
            write_synced(unfinished / SEQUENCES, sequences)
            write_synced(unfinished / DESCRIPTION, msgspec.json.encode(description))
            whole = self._folder / f"{WHOLE}{name}"
            older = [path for path in self._whole() if path != whole]
            if whole.exists():  # Of the same state, with another graph.
                aside = self._folder / f"{UNFINISHED}{name}-before"
                whole.rename(aside)
                older.append(aside)
            unfinished.rename(whole)
            sync(self._folder)
            for path in older:
                shutil.rmtree(path, ignore_errors=True)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)

    def load(
        self, revision: str, load_dense: Callable[[Path], DenseIndex], new_index: Callable[..., LiveIndex]
    ) -> LiveIndex | None:
        """Returns the live index of the newest snapshot, as it was then; None if there is none that can be used.

        `load_dense` reads its vectors, and `new_index` makes an index of the followers.
        """
        for path in reversed(self._whole()):
            try:
                return self._load(path, revision, load_dense, new_index)
            except SnapshotError as error:
                log.warning("a snapshot of the index is removed, and the index built from the store: %s", error)
                # Of a store that goes on from an older state, it would seem to be right again one day.
                shutil.rmtree(path, ignore_errors=True)
        return None

    def _load(
        self, path: Path, revision: str, load_dense: Callable[[Path], DenseIndex], new_index: Callable[..., LiveIndex]
    ) -> LiveIndex:
        try:
            description = msgspec.json.decode((path / DESCRIPTION).read_bytes(), type=Description)
            stored = (path / SEQUENCES).read_bytes()
        except (OSError, msgspec.DecodeError) as error:
            raise SnapshotError(f"{path} cannot be read: {first_line(error)}") from None
        sequences = np.frombuffer(stored, dtype="<i8") if len(stored) == 8 * description.slots else None
        if sequences is None or zlib.crc32(stored) != description.checksum:
            raise SnapshotError(f"{path} is damaged: the checksum of its roster differs")
        if (description.version, description.store, description.revision) != (VERSION, self._store.id, revision):
            raise SnapshotError(f"{path} is of another version, store or model")
        live_now = self._store.live_sequences()
        known = live_now[live_now <= description.sequence]
        if description.sequence > self._store.sequence or not np.isin(known, sequences, assume_unique=True).all():
            raise SnapshotError(f"{path} is not of this state of the store")
        lexical, titles = LexicalIndex.load(path / "lexical"), Titles.load(path / "titles")
        columns = Columns.load(path / "columns")
        dense = load_dense(path / "dense")
        counts = {len(lexical), len(titles), columns.view().slot_count, description.slots}
        owners = dense.view().owners
        if len(counts) > 1 or (len(owners) and int(owners[-1]) >= description.slots):
            dense.close()
            raise SnapshotError(f"{path} is of followers that disagree")
        roster = Roster(sequences, np.isin(sequences, known, assume_unique=True))
        log.info("the index was loaded from the snapshot %s", path)
        return new_index(
            dense,
            roster=roster,
            lexical=lexical,
            titles=titles,
            columns=columns,
            sequence=description.sequence,
        )

    def _whole(self) -> list[Path]:
        return sorted(self._folder.glob(f"{WHOLE}*"))
