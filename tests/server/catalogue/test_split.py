"""A JSONL file that is read in parts."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from server.catalogue import jsonl
from server.catalogue.jsonl import read_jsonl, split_jsonl
from server.errors import CatalogueError


@given(st.lists(st.sampled_from(["", " ", "가", "a", "long " * 5]), max_size=12), st.integers(1, 40), st.booleans())
@example(["a", "", "가"], 1, True)
def test_the_parts_have_all_lines_and_their_numbers(lines: list[str], size_bytes: int, ends: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "c.jsonl"
        text = "\n".join(f'"{line}"' if line.strip() else line for line in lines)
        path.write_text("\ufeff" + text + "\n" * ends, encoding="utf-8")
        parts = list(split_jsonl(path, size_bytes=size_bytes))
        assert [each for part in parts for each in read_jsonl(path, str, part)] == list(read_jsonl(path, str))
        assert [part.start for part in parts] == [0, *(part.end for part in parts)][:-1]


def test_a_wrong_line_of_a_part_has_its_number(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    path.write_text('"a"\n' * 9 + "wrong\n")
    *_, last = split_jsonl(path, size_bytes=8)
    with pytest.raises(CatalogueError, match=r"c\.jsonl:10: the line is not one whole JSON object"):
        list(read_jsonl(path, str, last))


def test_a_line_that_is_too_long_is_an_error_of_its_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jsonl, "MAX_LINE_BYTES", 100)
    path = tmp_path / "c.jsonl"
    path.write_text('"a"\n' + '"' + "b" * 300 + '"\n')
    for size_bytes in (1, 4, 50, 1000):
        parts = split_jsonl(path, size_bytes=size_bytes)
        with pytest.raises(CatalogueError, match=r"c\.jsonl:2: the line has more than 100 bytes"):
            _ = [each for part in parts for each in read_jsonl(path, str, part)]


def test_a_file_that_cannot_be_split_is_an_error(tmp_path: Path) -> None:
    for path, message in (
        (tmp_path, "Is a directory"),
        (tmp_path / "no", "No such file"),
        (Path("/dev/zero"), "regular"),
    ):
        with pytest.raises(CatalogueError, match=message):
            list(split_jsonl(path, size_bytes=10))
