from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.errors import SnapshotError
from server.lexical.index import LexicalIndex
from server.lexical.snapshot import read_snapshot, write_snapshot
from server.lexical.tokens import TERMS_VERSION
from tests.server.lexical.making import documents, sentences, texts


def saved(directory: Path) -> Path:
    index = LexicalIndex()
    for document in sentences(300):
        index.append([document])
    index.view().save(directory)
    return directory / "lexical.snapshot"


@settings(deadline=None)
@given(st.lists(documents, max_size=3), texts)
def test_what_was_saved_is_found_again(
    tmp_path_factory: pytest.TempPathFactory, batches: list[list[list[str]]], query: str
) -> None:
    directory = tmp_path_factory.mktemp("lexical")
    index = LexicalIndex()
    for batch in batches:
        index.append(batch)
    index.view().save(directory)
    loaded = LexicalIndex.load(directory)
    for each in (index, loaded):
        each.append([["적금 card"]])
    before, after = index.view().search(query, limit=50), loaded.view().search(query, limit=50)
    np.testing.assert_array_equal(before.slots, after.slots)
    np.testing.assert_array_equal(before.scores, after.scores)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.01, 0.1, 0.5, 0.9, 0.9999])
def test_a_flipped_bit_is_noticed(tmp_path: Path, share: float) -> None:
    path = saved(tmp_path)
    content = bytearray(path.read_bytes())
    content[int(share * len(content))] ^= 1
    path.write_bytes(content)
    with pytest.raises(SnapshotError):
        LexicalIndex.load(tmp_path)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.9999])
def test_a_file_that_is_cut_off_is_noticed(tmp_path: Path, share: float) -> None:
    path = saved(tmp_path)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(SnapshotError):
        LexicalIndex.load(tmp_path)


def test_a_longer_file_a_missing_one_and_another_version_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SnapshotError, match="cannot be read"):
        read_snapshot(tmp_path / "none", version="1")
    path = tmp_path / "arrays"
    write_snapshot(path, version="1", arrays=[np.arange(3), np.zeros(0, np.uint8)])
    assert [array.tolist() for array in read_snapshot(path, version="1")] == [[0, 1, 2], []]
    with pytest.raises(SnapshotError, match="version"):
        read_snapshot(path, version="2")
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(SnapshotError, match="long"):
        read_snapshot(path, version="1")


def test_a_snapshot_is_never_written_over_another(tmp_path: Path) -> None:
    saved(tmp_path)
    with pytest.raises(FileExistsError):
        LexicalIndex().view().save(tmp_path)


@pytest.mark.parametrize(
    ("place", "value"), [(1, 0), (2, 7), (3, 99), (3, -1), (4, 0), (0, float("nan")), (0, -1.0), (2, -5)]
)
def test_arrays_that_cannot_be_are_refused_though_their_checksum_is_right(
    tmp_path: Path, place: int, value: float
) -> None:
    index = LexicalIndex()
    index.append([["카드 분실 신고"], ["카드 신청"]])
    arrays = [array.copy() for array in index.view().segments[0].stored]
    at = 1 if place in (1, 2) else -1
    arrays[place][at] = value
    write_snapshot(tmp_path / "lexical.snapshot", version=TERMS_VERSION, arrays=arrays)
    with pytest.raises(SnapshotError, match="cannot be"):
        LexicalIndex.load(tmp_path)
