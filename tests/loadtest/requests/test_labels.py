from pathlib import Path

import pytest

from loadtest.errors import UsageError
from loadtest.requests.labels import read_labels


def test_labels_are_read_in_beirs_layout(tmp_path: Path) -> None:
    path = tmp_path / "test.tsv"
    path.write_text("query-id\tcorpus-id\tscore\nq1\td1\t1\nq1\td2\t0\nq2\td3\t2\n")
    assert read_labels(path) == {"q1": {"d1": 1, "d2": 0}, "q2": {"d3": 2}}


def test_labels_are_read_from_the_queries_file(tmp_path: Path) -> None:
    path = tmp_path / "queries.jsonl"
    path.write_text('{"query": "a", "relevant": ["d1"]}\n\n{"_id": "x", "query": "b", "relevant": ["d2", "d3"]}\n')
    assert read_labels(path) == {"0": {"d1": 1}, "x": {"d2": 1, "d3": 1}}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "has no labels"),
        ("q\td\n", "labels.tsv:1: expected"),
        ("query-id\tcorpus-id\tscore\nq\td\tmany\n", "labels.tsv:2: expected"),
        ('{"query": "a"}\n', "labels.tsv:1: expected an object with `relevant`"),
        ('{"relevant": 3}\n', "labels.tsv:1: expected an object with `relevant`"),
        ("{nothing\n", "labels.tsv:1: expected an object with `relevant`"),
    ],
)
def test_a_malformed_line_is_named(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "labels.tsv"
    path.write_text(text)
    with pytest.raises(UsageError, match=says):
        read_labels(path)
