"""Tests that a store whose database was replaced by an older copy never repeats a sequence."""

import contextlib
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sample.server_process import REPOSITORY
from server.catalogue.database import DATABASE, back_up, restore
from server.catalogue.store import Store
from tests.server.catalogue.stores import put


@pytest.fixture
def older(tmp_path: Path) -> Path:
    """The directory of a store that has gone on to change 3, with a copy of it at change 1 in `before`."""
    directory = tmp_path / "data"
    directory.mkdir()
    with contextlib.closing(Store(directory)) as store:
        put(store, "a")
        back_up(directory, tmp_path / "backup.sqlite")
    shutil.copytree(directory, tmp_path / "before")
    with contextlib.closing(Store(directory)) as store:
        assert put(store, "b", "c") == [2, 3]
    return directory


def by_restore(older: Path) -> Path:
    restore(older, older.parent / "backup.sqlite")
    return older


def to_an_empty_directory(older: Path) -> Path:
    restore(older.parent / "new", older.parent / "backup.sqlite")
    return older.parent / "new"


def by_copying_a_backup(older: Path) -> Path:
    new = older.parent / "new"
    new.mkdir()
    shutil.copyfile(older.parent / "backup.sqlite", new / DATABASE)
    return new


def by_moving_a_copy(older: Path) -> Path:
    shutil.rmtree(older)
    return Path(shutil.move(older.parent / "before", older))


def by_overwriting_every_file(older: Path) -> Path:
    """As `cp -a before/. data/` does: the database keeps its inode, and `acknowledged` is the older one."""
    for path in (older.parent / "before").iterdir():
        shutil.copy2(path, older / path.name)
    return older


WAYS = [by_restore, to_an_empty_directory, by_copying_a_backup, by_moving_a_copy, by_overwriting_every_file]


@pytest.mark.parametrize("replace", WAYS)
def test_an_older_copy_continues_above_all_that_was_acknowledged(older: Path, replace: Callable[[Path], Path]) -> None:
    directory = replace(older)
    for _ in range(2):  # A start without a change is no reason to forget the copy.
        with contextlib.closing(Store(directory)) as store:
            assert (store.sequence, len(store)) == (1, 1)
            assert [store.has_sequence(number) for number in range(5)] == [True, True, False, False, False]
    with contextlib.closing(Store(directory)) as store:
        first, second = put(store, "d", "b")
        assert 3 < first == second - 1 < 2**53
        known = [0, 1, first, second]
        unknown = [2, 3, 4, first - 1, second + 1]
        assert [store.has_sequence(number) for number in known] == [True] * len(known)
        assert [store.has_sequence(number) for number in unknown] == [False] * len(unknown)
        assert [change.sequence for change in store.changes(1, 9)] == [first, second]
    with contextlib.closing(Store(directory)) as again:
        assert put(again, "e") == [second + 1], "nothing was copied since"
        assert not again.has_sequence(3)


def test_two_copies_of_a_store_give_out_different_sequences(older: Path) -> None:
    for name in ("one", "other"):
        shutil.copytree(older, older.parent / name)
    with (
        contextlib.closing(Store(older.parent / "one")) as one,
        contextlib.closing(Store(older.parent / "other")) as other,
    ):
        ours, theirs = put(one, "d"), put(other, "e")
        assert ours != theirs
        assert not one.has_sequence(theirs[0]) or not other.has_sequence(ours[0])


def test_a_second_restore_is_above_the_first_even_if_the_clock_stands(
    older: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.catalogue.databases.sqlite.time.time", lambda: 0.0)
    highest = 3
    for _ in range(3):
        restore(older, older.parent / "backup.sqlite")
        with contextlib.closing(Store(older)) as store:
            assert not store.has_sequence(highest)
            written = put(store, "d", "e", "f")
            assert written[0] > highest
            assert not store.has_sequence(highest)
            highest = written[-1]


def test_a_rolled_back_change_after_a_restore_does_not_end_the_gap(older: Path) -> None:
    restore(older, older.parent / "backup.sqlite")
    with contextlib.closing(Store(older)) as store:
        with contextlib.suppress(ZeroDivisionError), store.write() as transaction:
            with contextlib.suppress(KeyError), transaction.together():
                transaction.delete("a")
                raise KeyError
            assert transaction.sequence == 1
            transaction.delete("a")
            raise ZeroDivisionError
        (first,) = put(store, "d")
        assert first > 3
        assert [store.has_sequence(number) for number in (1, 3, first)] == [True, False, True]


KILLED = """
import os, sys
from pathlib import Path
from server.catalogue.store import Store
from tests.server.catalogue.stores import put
put(Store(Path(sys.argv[1])), "d")
os._exit(0)
"""


def test_a_killed_store_continues_with_the_next_sequence(older: Path) -> None:
    subprocess.run([sys.executable, "-c", KILLED, str(older)], cwd=REPOSITORY, check=True)
    with contextlib.closing(Store(older)) as again:
        assert again.sequence == 4
        assert put(again, "e") == [5]
