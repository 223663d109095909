from pathlib import Path

import pytest

from export.errors import ExportError
from export.quality.corpus import read_beir
from server.errors import CatalogueError


@pytest.fixture
def beir(tmp_path: Path) -> Path:
    (tmp_path / "qrels").mkdir()
    documents = [f'{{"_id": "d{number}", "title": "t{number}", "text": "x"}}' for number in range(50)]
    queries = [f'{{"_id": "q{number}", "text": "find {number}"}}' for number in range(20)]
    (tmp_path / "corpus.jsonl").write_text("\n".join(documents), encoding="utf-8")
    (tmp_path / "queries.jsonl").write_text("\n".join(queries), encoding="utf-8")
    lines = ["query-id\tcorpus-id\tscore", *(f"q{number}\td{2 * number}\t1" for number in range(20)), "q0\td1\t0"]
    (tmp_path / "qrels" / "dev.tsv").write_text("\n".join(lines), encoding="utf-8")
    (tmp_path / "qrels" / "train.tsv").write_text(f"{lines[0]}\nq1\td3\t2\n", encoding="utf-8")
    return tmp_path


def test_a_directory_is_read_with_its_labels(beir: Path) -> None:
    corpus = read_beir(beir)
    assert "dev: 20 of 20 queries, 50 of 50" in corpus.name
    assert {query.query: query.relevant for query in corpus.queries}["find 7"] == ["d14"]
    assert corpus.documents[0].title.startswith("t")  # type: ignore[union-attr]
    assert [query.relevant for query in read_beir(beir, split="train").queries] == [["d3"]]


def test_a_large_corpus_is_sampled_with_a_fixed_seed(beir: Path) -> None:
    corpus = read_beir(beir, max_queries=5, max_documents=12)
    ids = {document.id for document in corpus.documents}
    assert (len(corpus.queries), len(ids)) == (5, 12)
    assert {id for query in corpus.queries for id in query.relevant} <= ids
    assert read_beir(beir, max_queries=5, max_documents=12).queries == corpus.queries
    assert len(read_beir(beir, max_queries=5, max_documents=1).documents) == 5


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("qrels/dev.tsv", "h\th\th\nq0\td99\t1\n", "qrels/dev.tsv:2: unknown document 'd99': it is not in corpus"),
        ("qrels/dev.tsv", "h\th\th\nq99\td1\t1\n", "qrels/dev.tsv:2: unknown query 'q99'"),
        ("qrels/dev.tsv", "h\th\th\nq0 d1 1\n", "qrels/dev.tsv:2: expected query id, document id"),
        ("qrels/dev.tsv", "h\th\th\nq0\td1\t0\n", "has no query with a relevant document"),
        ("corpus.jsonl", '{"_id": 3}\n', "corpus.jsonl:1: Expected `str`, got `int`"),
        ("queries.jsonl", "no json\n", "queries.jsonl:1: the line is not one whole JSON object"),
    ],
)
def test_a_wrong_line_is_named(beir: Path, file: str, text: str, message: str) -> None:
    (beir / file).write_text(text, encoding="utf-8")
    with pytest.raises((ExportError, CatalogueError)) as raised:
        read_beir(beir)
    assert message in str(raised.value)


def test_missing_parts_are_named(beir: Path, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"has no qrels/test.tsv; it has dev, train"):
        read_beir(beir, split="test")
    with pytest.raises(ExportError, match=r"there is no directory .*nothing"):
        read_beir(tmp_path / "nothing")
    with pytest.raises(ExportError, match=r"is not in BEIR's layout: it has no qrels/\*.tsv"):
        read_beir(beir / "qrels")
    (beir / "corpus.jsonl").unlink()
    with pytest.raises(CatalogueError, match=r"corpus.jsonl cannot be read: No such file"):
        read_beir(beir)
