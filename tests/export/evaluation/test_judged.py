import re
from pathlib import Path

import pytest

from export.errors import ExportError
from export.evaluation.judged import JudgedQuery, Pool, judged_set, taught
from export.evaluation.reading import read_beir_set, read_catalogue_set
from server.catalogue.document import Document
from server.errors import CatalogueError

DOCUMENTS = [Document(id="a", title="Aaa"), Document(id="b", title="Bbb", examples=["old"])]


def asked(*texts: str, document: str = "a") -> list[JudgedQuery]:
    return [JudgedQuery(text=text, language="en", grades={document: 1}) for text in texts]


def pool(name: str, *texts: str) -> Pool:
    return Pool(name=name, queries=asked(*texts))


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "qrels").mkdir()
    (tmp_path / "corpus.jsonl").write_text(
        '{"_id": "a", "title": "Aaa"}\n{"_id": "b", "text": "Bbb"}\n{"_id": "blank", "title": " "}\n'
    )
    texts = ["one", "둘", "ONE ", "four", " "]
    (tmp_path / "queries.jsonl").write_text(
        "".join(f'{{"_id": "q{number}", "text": "{text}"}}\n' for number, text in enumerate(texts, start=1))
    )
    write_split(tmp_path, "test", "q1\ta\t2", "q1\tb\t1", "q1\tblank\t1", "q2\tb\t1", "q4\tblank\t1")
    return tmp_path


def write_split(directory: Path, name: str, *lines: str) -> None:
    (directory / "qrels" / f"{name}.tsv").write_text("\n".join(["query-id\tcorpus-id\tscore", *lines]) + "\n")


def test_a_directory_gives_grades_and_languages(directory: Path) -> None:
    found = read_beir_set(directory)
    assert [each.id for each in found.documents] == ["a", "b"]
    assert [(each.text, each.language, dict(each.grades)) for each in found.queries] == [
        ("one", "en", {"a": 2, "b": 1}),
        ("둘", "ko", {"b": 1}),
    ]
    assert found.notes == ["to tune BM25: none, since all queries are reported"]


def test_a_dev_split_is_for_tuning_without_the_reported_queries(directory: Path) -> None:
    write_split(directory, "dev", "q3\ta\t1", "q4\ta\t1")
    found = read_beir_set(directory)
    assert [each.text for each in found.tuning] == ["four"]  # "ONE " is the reported "one".
    assert not found.labels


def test_without_a_dev_split_a_part_of_the_labels_is_for_tuning() -> None:
    train = pool("train", *map(str, range(10)), "reported")
    found = judged_set(DOCUMENTS, pool("test", "reported"), train=train, with_labels=True)
    assert len(found.tuning) == len(found.labels) == 5
    assert {each.text for each in [*found.tuning, *found.labels]} == set(map(str, range(10)))
    assert judged_set(DOCUMENTS, pool("test", "reported"), train=train).labels == []


def test_labels_are_not_queries_of_the_dev_split() -> None:
    found = judged_set(
        DOCUMENTS, pool("test", "r"), dev=pool("dev", "d"), train=pool("train", "r", "D", "t"), with_labels=True
    )
    assert [each.text for each in found.labels] == ["t"]


def test_labels_become_example_queries_up_to_a_number() -> None:
    labels = [*asked("1", "2", "3"), *asked("4", document="b")]
    first, second = taught(DOCUMENTS, labels, per_document=2)
    assert len(first.examples) == 2
    assert second.examples == ["old", "4"]
    assert taught(DOCUMENTS, labels, per_document=2)[0] == first
    assert taught(DOCUMENTS, [], per_document=2) == DOCUMENTS


def test_fewer_documents_keep_those_that_answer(directory: Path) -> None:
    assert {each.id for each in read_beir_set(directory, most_documents=1).documents} == {"a", "b"}
    assert len(read_beir_set(directory, most_queries=1).queries) == 1


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"split": "none"}, "has no qrels/none.tsv; it has test, train"),
        ({"dev": "test"}, "--dev test is the split that is reported"),
        ({"labels": "test"}, "--labels test is the split that is reported"),
        ({"labels": "train", "dev": "train"}, "--dev and --labels name the same split"),
    ],
)
def test_splits_that_do_not_fit_are_errors(directory: Path, flags: dict[str, str], message: str) -> None:
    write_split(directory, "train", "q3\ta\t1", "q4\ta\t1")
    with pytest.raises(ExportError, match=re.escape(message)):
        read_beir_set(directory, **flags)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["q9\ta\t1"], "train.tsv:2: unknown query 'q9'"),
        (["q1\tz\t1"], "train.tsv:2: unknown document 'z'"),
        (["q5\ta\t1"], "train.tsv:2: the text of query 'q5' is blank"),
        (["q1\ta\t1", "q1\ta\t2"], "train.tsv:3: 'q1' and 'a' occur twice"),
        (["q1\tblank\t1"], "train has no query with a relevant document"),
        ([], "train has no query with a relevant document"),
    ],
)
def test_a_wrong_line_is_one_error(directory: Path, lines: list[str], message: str) -> None:
    write_split(directory, "train", *lines)
    with pytest.raises(ExportError, match=re.escape(message)):
        read_beir_set(directory, split="train")


def test_a_split_of_reported_queries_cannot_tune(directory: Path) -> None:
    write_split(directory, "dev", "q3\ta\t1")
    with pytest.raises(ExportError, match="all queries of dev are reported: take other queries"):
        read_beir_set(directory)


def test_an_id_that_occurs_twice_is_an_error(directory: Path) -> None:
    (directory / "corpus.jsonl").write_text('{"_id": "a", "title": "A"}\n{"_id": "a", "title": "B"}\n')
    with pytest.raises(ExportError, match=r"corpus\.jsonl:2: _id 'a' occurs twice"):
        read_beir_set(directory)


def test_a_catalogue_has_files_in_place_of_splits(tmp_path: Path) -> None:
    catalogue, queries, labels = (tmp_path / name for name in ("c.jsonl", "q.jsonl", "l.jsonl"))
    catalogue.write_text('{"id": "a", "title": "Aaa"}\n{"id": "b", "title": "Bbb"}\n')
    queries.write_text('{"query": "one", "language": "EN", "relevant": ["a", "b"]}\n')
    labels.write_text("".join(f'{{"query": "{n}", "language": "en", "relevant": ["a"]}}\n' for n in (1, 2)))
    found = read_catalogue_set(catalogue, queries, labels=labels)
    assert (found.name, found.queries[0].language) == ("q.jsonl", "en")
    assert (len(found.tuning), len(found.labels)) == (1, 1)
    labels.write_text('{"query": "two", "language": "en", "relevant": ["z"]}\n')
    with pytest.raises(CatalogueError, match=r"l\.jsonl:1: unknown document 'z'"):
        read_catalogue_set(catalogue, queries, labels=labels)
