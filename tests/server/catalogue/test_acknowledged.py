import contextlib
import shutil
import sqlite3
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from server.catalogue.acknowledged import ACKNOWLEDGED, read_acknowledged
from server.catalogue.database import DATABASE, back_up, restore
from server.catalogue.store import Store
from server.errors import DatabaseDamaged
from tests.server.catalogue.stores import put


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with contextlib.closing(Store(tmp_path)) as store:
        yield store


def test_a_log_that_lost_acknowledged_changes_is_detected(tmp_path: Path) -> None:
    (tmp_path / "live").mkdir()
    with contextlib.closing(Store(tmp_path / "live")) as store:
        for number in range(30):
            put(store, f"document {number}")
        for name in ("killed", "damaged"):
            shutil.copytree(tmp_path / "live", tmp_path / name)
    with contextlib.closing(Store(tmp_path / "killed")) as store:
        assert len(store) == 30
    log = tmp_path / "damaged" / f"{DATABASE}-wal"
    content = bytearray(log.read_bytes())
    content[len(content) // 2] ^= 1
    log.write_bytes(content)
    for serving in (True, False):
        with pytest.raises(DatabaseDamaged, match="change 30 was acknowledged"):
            Store(tmp_path / "damaged", serving=serving)


def test_a_missing_database_is_not_replaced_by_a_new_one(store: Store, tmp_path: Path) -> None:
    put(store, "a")
    backup = back_up(tmp_path, tmp_path / "copy.sqlite")
    put(store, "b")
    store.close()
    for path in tmp_path.glob(f"{DATABASE}*"):
        path.unlink()
    with pytest.raises(DatabaseDamaged, match="change 2 was acknowledged"):
        Store(tmp_path)
    restore(tmp_path, backup)
    with contextlib.closing(Store(tmp_path)) as again:
        assert len(again) == 1, "an older state was restored on purpose"


def test_a_missing_or_damaged_acknowledgement_is_harmless(store: Store, tmp_path: Path) -> None:
    put(store, "a")
    store.close()
    path = tmp_path / ACKNOWLEDGED
    assert read_acknowledged(tmp_path).sequence == 1
    changed = bytes([path.read_bytes()[0] ^ 64]) + path.read_bytes()[1:]
    for content in (None, b"", b"x" * 12, b"x" * 28, changed):
        path.unlink(missing_ok=True)
        if content is not None:
            path.write_bytes(content)
        assert read_acknowledged(tmp_path).sequence == 0
        Store(tmp_path).close()
        assert read_acknowledged(tmp_path).sequence == 1


def test_the_acknowledgement_of_an_older_version_is_read(store: Store, tmp_path: Path) -> None:
    put(store, "a")
    store.close()
    for sequence, damage in ((1, contextlib.nullcontext()), (2, pytest.raises(DatabaseDamaged, match="change 2 was"))):
        number = struct.pack("<q", sequence)
        (tmp_path / ACKNOWLEDGED).write_bytes(number + struct.pack("<I", zlib.crc32(number)))
        with damage, contextlib.closing(Store(tmp_path)) as again:
            assert put(again, "b") == [2], "it is no copy"
        with contextlib.closing(sqlite3.connect(tmp_path / DATABASE)) as connection, connection:
            connection.execute("DELETE FROM documents WHERE sequence = 2")
