from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from export.errors import ExportError
from export.evaluation.judged import JudgedQuery
from export.tuning.labels import Labels, parted, read_labels, without_examples
from server.catalogue.document import Document
from server.errors import CatalogueError
from tests.export.evaluation.made import asked
from tests.export.tuning.made import write_lines

Query = tuple[str, str]


def read(folder: Path, labels: Sequence[Query], judged: Sequence[Query], **options: Any) -> Labels:
    write_lines(folder / "c.jsonl", ({"id": id, "title": id} for id in ("a", "b", "c")))
    for name, queries in (("l.jsonl", labels), ("q.jsonl", judged)):
        write_lines(folder / name, ({"query": text, "language": "en", "relevant": [id]} for text, id in queries))
    defaults: dict[str, Any] = {"most_judged": None, "per_document": None, "drop_leaks": False, "seed": 0}
    return read_labels(
        directory=None,
        split=None,
        catalogue=folder / "c.jsonl",
        queries=folder / "q.jsonl",
        labels=str(folder / "l.jsonl"),
        **(defaults | options),
    )


ENOUGH = [("one", "a"), ("two", "b"), ("three", "c"), ("four", "a")]


@pytest.mark.parametrize("leak", ["lost card", "Lost  Card", "lost-card?", "ＬＯＳＴ card"])
def test_a_label_that_also_judges_is_refused(tmp_path: Path, leak: str) -> None:
    with pytest.raises(ExportError, match=r"1 labels of l.jsonl are also queries of q.jsonl, such as .*--drop-leaks"):
        read(tmp_path, [*ENOUGH, (leak, "a")], [("lost card", "a")])


def test_leaks_are_left_out_on_request(tmp_path: Path) -> None:
    found = read(tmp_path, [*ENOUGH, ("Lost card!", "a")], [("lost card", "a")], drop_leaks=True)
    assert sorted(each.text for each in found.labels) == ["four", "one", "three", "two"]
    assert found.notes == ["left out of l.jsonl: 1 labels that are also queries of q.jsonl"]


def test_a_query_with_two_documents_counts_for_both(tmp_path: Path) -> None:
    found = read(tmp_path, [*ENOUGH, ("one!", "b")], [("judge", "a")])
    (both,) = [each for each in found.labels if each.text == "one"]
    assert set(both.grades) == {"a", "b"}
    assert found.notes == ["1 queries of l.jsonl occur with different documents: all of them count"]


def test_the_seed_decides_the_order_of_labels_and_fewer_are_part_of_more(tmp_path: Path) -> None:
    many = [(f"query {number}", "abc"[number % 3]) for number in range(60)]
    orders = [[each.text for each in read(tmp_path, many, [("judge", "a")], seed=seed).labels] for seed in (0, 0, 1)]
    assert orders[0] == orders[1] != orders[2]
    few = read(tmp_path, many, [("judge", "a")]).first(20)
    assert [each.text for each in few.labels] == orders[0][:20]


def test_labels_of_a_document_are_bounded(tmp_path: Path) -> None:
    many = [(f"query {number}", "aaab"[number % 4]) for number in range(40)]
    found = read(tmp_path, many, [("judge", "a")], per_document=5)
    ids = [id for each in found.labels for id in each.grades]
    assert (ids.count("a"), ids.count("b")) == (5, 5)


def test_examples_that_are_queries_are_left_out_where_something_stays() -> None:
    documents = [
        Document(id="a", title="a", examples=["Lost  card?", "other"]),
        Document(id="b", examples=["lost card", "other"]),
        Document(id="c", examples=["lost card"]),
        Document(id="d", text="d", examples=["lost card"]),
    ]
    found = without_examples(documents, [asked("LOST card", "a")])
    assert [each.examples for each in found] == [["other"], ["other"], ["lost card"], []]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (ENOUGH[:3], "l.jsonl has 3 labels to train with: at least 4 are needed"),
        ([(text, "a") for text, _ in ENOUGH], "all labels of l.jsonl are of one document"),
    ],
)
def test_too_few_labels_are_refused(tmp_path: Path, labels: list[Query], message: str) -> None:
    with pytest.raises(ExportError, match=message):
        read(tmp_path, labels, [("judge", "a")])


def test_a_label_for_an_unknown_document_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match=r"l.jsonl:5: unknown document 'z'"):
        read(tmp_path, [*ENOUGH, ("five", "z")], [("judge", "a")])


def labelled(count: int) -> list[JudgedQuery]:
    return [asked(f"query {number}", "a") for number in range(count)]


@pytest.mark.parametrize(("count", "share", "expected"), [(4, 0.1, 2), (60, 0.1, 20), (770, 0.1, 77), (9000, 0.1, 500)])
def test_a_part_of_the_labels_is_not_trained(count: int, share: float, expected: int) -> None:
    labels = labelled(count)
    parts = parted(labels, share=share)
    assert len(parts.development) == expected
    assert [*parts.training, *parts.development] == labels
