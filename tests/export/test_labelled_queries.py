from pathlib import Path

import pytest

from export.labelled_queries import load_labelled_queries
from server.catalogue.document import Document
from server.errors import CatalogueError

DOCUMENTS = [Document(id="a", title="A"), Document(id="b", title="B")]
GOOD = '{"query": "find a", "language": "en", "relevant": ["a"]}\n'


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"query": "c", "language": "en", "relevant": []}', "`$.relevant`; it is empty: fill it"),
        ('{"query": "c", "language": "en", "relevant": ["c"]}', "unknown document 'c': it is not in the catalogue"),
        ('{"query": "c", "language": "en", "relevant": []}', "Expected `array` of length >= 1 - at `$.relevant`"),
        ('{"query": " ", "language": "en", "relevant": ["a"]}', "query is blank"),
        (GOOD.strip(), "the query is already in line 1"),
        ('{"query": "c", "relevant": ["a"]}', "missing required field `language`"),
    ],
)
def test_a_wrong_line_is_named_by_file_and_line(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "q.jsonl"
    path.write_text(GOOD + line + "\n", encoding="utf-8")
    with pytest.raises(CatalogueError) as raised:
        load_labelled_queries(path, DOCUMENTS)
    assert str(raised.value).startswith(f"{path}:2: ")
    assert message in str(raised.value)


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl"
    path.write_text("")
    with pytest.raises(CatalogueError, match="has no queries"):
        load_labelled_queries(path, DOCUMENTS)


def test_the_same_query_in_another_composition_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl"
    path.write_text(GOOD.replace("find a", "café") + GOOD.replace("find a", "cafe\u0301"), encoding="utf-8")
    with pytest.raises(CatalogueError, match=r"q\.jsonl:2: the query is already in line 1"):
        load_labelled_queries(path, DOCUMENTS)
