import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.errors import CatalogueError
from server.synonyms.file import read_synonyms
from server.synonyms.rule import Rule
from server.synonyms.table import SynonymTable
from tests.server.synonyms.making import rules, table


def test_a_file_has_rules_comments_and_empty_lines(tmp_path: Path) -> None:
    path = tmp_path / "synonyms.txt"
    path.write_bytes("\ufeff# Cards\r\n\r\n체카 = 체크카드\r\n마통 → 마이너스통장 # account".encode())
    assert read_synonyms(path) == table("체카 = 체크카드", "마통 -> 마이너스통장")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("a -> b\n체카, 체크카드\n".encode(), ":2: the rule has neither `->` nor `=`: write"),
        (b"a -> b\n\xff\xfe -> c\n", ":2: the line is not UTF-8: save the file as UTF-8"),
        (b"a->b\n# c\na -> b\n", ":3: the rule is that of line 1: remove one of them"),
        (b"x" * 70_000, ":1: the line has more than 65536 bytes: write one rule on each line"),
        ("\n".join(f"a{n} -> b" for n in range(10_001)).encode(), ": there are 10001 rules: keep at most 10000"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, content: bytes, problem: str) -> None:
    path = tmp_path / "synonyms.txt"
    path.write_bytes(content)
    with pytest.raises(CatalogueError) as caught:
        read_synonyms(path)
    assert str(caught.value).startswith(f"{path}{problem}")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match="cannot be read: No such file"):
        read_synonyms(tmp_path / "synonyms.txt")


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(CatalogueError, match="pipe is not a regular file: write the rules to one"):
        read_synonyms(tmp_path / "pipe")


@given(st.lists(rules(), max_size=8))
def test_a_file_of_the_texts_of_rules_has_these_rules(some: list[Rule]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "synonyms.txt"
        path.write_text("".join(f"{one.text}\n" for one in set(some)), encoding="utf-8")
        assert read_synonyms(path) == SynonymTable(some)
