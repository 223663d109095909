from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from server import snapshot
from server.errors import SnapshotError
from server.snapshot import (
    ARRAYS,
    DESCRIPTION,
    Arrays,
    CheckedFile,
    Facts,
    file_checksum,
    read_snapshot,
    write_snapshot,
)

FACTS: Facts = {"model": "a", "dimension": 3}

LINKED = "large.bin"


@pytest.fixture
def written(tmp_path: Path) -> Path:
    source = tmp_path / "source"
    source.write_bytes(bytes(range(256)) * 4)
    directory = tmp_path / "snapshot"
    directory.mkdir()
    parts: dict[str, Arrays] = {
        "one": {"numbers": np.arange(40, dtype=np.int32), "empty": np.zeros((0, 7), np.float16)},
        "other": {"numbers": np.array(2.5), "texts": np.array([b"a", b"\xea\xb0\x80"], "S4")},
    }
    write_snapshot(directory, FACTS, parts=parts, files={LINKED: CheckedFile(source, file_checksum(source))})
    return directory


def test_what_was_written_is_read(written: Path) -> None:
    parts, files = read_snapshot(written, FACTS)
    assert parts["one"]["numbers"].tolist() == list(range(40))
    assert parts["one"]["empty"].shape == (0, 7)
    assert parts["one"]["empty"].dtype == np.float16
    assert parts["other"]["numbers"].tolist() == 2.5
    assert parts["other"]["texts"].tolist() == [b"a", b"\xea\xb0\x80"]
    assert files[LINKED].path.stat().st_ino == (written.parent / "source").stat().st_ino, "it is linked"


def variants(content: bytes) -> Iterator[bytes]:
    """Yields copies that differ in one byte or in length."""
    for place in range(len(content)):
        yield content[:place] + bytes([content[place] ^ 1 << place % 8]) + content[place + 1 :]
        yield content[:place]
    yield content + b"\0"


@pytest.mark.parametrize("name", [DESCRIPTION, ARRAYS, LINKED])
def test_a_snapshot_with_any_changed_byte_or_length_is_rejected(written: Path, name: str) -> None:
    path = written / name
    content = path.read_bytes()
    path.unlink()
    for variant in variants(content):
        path.write_bytes(variant)
        with pytest.raises(SnapshotError):
            read_snapshot(written, FACTS)
    path.unlink()
    with pytest.raises(SnapshotError, match=r"cannot be read: .*No such file"):
        read_snapshot(written, FACTS)
    path.write_bytes(content)
    read_snapshot(written, FACTS)


@pytest.mark.parametrize("facts", [{}, {"model": "b", "dimension": 3}, {**FACTS, "more": 1}])
def test_a_snapshot_with_other_facts_is_rejected(written: Path, facts: Facts) -> None:
    with pytest.raises(SnapshotError, match=r"has (model|dimension|more) "):
        read_snapshot(written, facts)


def test_a_snapshot_of_another_version_is_rejected(written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshot, "VERSION", 99)
    with pytest.raises(SnapshotError, match="has version 4, expected 99"):
        read_snapshot(written, FACTS)


def test_a_snapshot_never_overwrites_another(written: Path) -> None:
    with pytest.raises(FileExistsError):
        write_snapshot(written, FACTS, parts={}, files={})


def test_a_file_is_copied_if_it_cannot_be_linked(
    written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr("os.link", refuse)
    snapshot.link(written / LINKED, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == (written / LINKED).read_bytes()
