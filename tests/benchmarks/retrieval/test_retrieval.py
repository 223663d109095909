import json
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.retrieval.measuring import ALL, DEPTHS, EXAMPLES, MODES, Row, measure
from benchmarks.retrieval.sets import beir_set, sample_set
from benchmarks.retrieval.targets import E5, MINILM, TARGETS, missed_targets
from export.evaluation.judged import JudgedQuery
from export.evaluation.reading import OTHER
from server.encoding.bundle import Bundle

LABELS = [("vvv", "a"), ("qqq zzz", "b"), ("www", "b")]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "qrels").mkdir()
    documents = [("a", "lost card", ""), ("empty", "", ""), ("b", "", "transfer money abroad")]
    rows = [{"_id": id, "title": title, "text": text} for id, title, text in documents]
    (tmp_path / "corpus.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    queries = [{"_id": "1", "text": "my card is lost"}, {"_id": "2", "text": "send money abroad"}]
    (tmp_path / "queries.jsonl").write_text("\n".join(map(json.dumps, queries)), encoding="utf-8")
    (tmp_path / "qrels/dev.tsv").write_text("query-id\tcorpus-id\tscore\n1\ta\t1\n2\tb\t1\n2\ta\t0\n", encoding="utf-8")
    return tmp_path


def test_questions_of_the_training_split_are_labels(directory: Path) -> None:
    assert beir_set(directory, "dev").labels == []
    rows = [{"_id": str(number), "text": f"lost card {number}"} for number in range(3, 20)]
    with (directory / "queries.jsonl").open("a", encoding="utf-8") as file:
        file.write("\n" + "\n".join(map(json.dumps, rows)))
    labels = "".join(f"{number}\ta\t1\n" for number in range(3, 20))
    (directory / "qrels/train.tsv").write_text("query-id\tcorpus-id\tscore\n" + labels, encoding="utf-8")
    assert {each.text for each in beir_set(directory, "dev").labels} <= {row["text"] for row in rows}
    assert beir_set(directory, "dev").labels
    assert beir_set(directory, "train").labels == []


def test_the_sample_is_read() -> None:
    read = sample_set()
    assert {query.language for query in read.queries} == {"ko", "en"}
    assert (E5, read.name) in TARGETS


def test_recall_and_shares_of_flagged_queries_are_measured(directory: Path, tiny_bundle: Path) -> None:
    read = beir_set(directory, "dev")
    measured = measure(Bundle(tiny_bundle), read)
    assert {row.mode for row in measured.recall} == set(MODES)
    assert {row.examples for row in measured.recall} == {0}
    assert measured.recall[Row(0, "lexical", "en")] == measured.recall[Row(0, "hybrid", "en")]
    assert measured.recall[Row(0, "hybrid", ALL)] == dict.fromkeys(DEPTHS, 1.0)
    assert measured.queries == {ALL: 2, "en": 2}
    kinds = ("answerable", "out of scope", "nonsense", "other apps")
    assert set(measured.flagged) == {(mode, "en", kind) for mode in MODES for kind in kinds}


def test_labels_become_examples_that_are_indexed_and_found(directory: Path, tiny_bundle: Path) -> None:
    labels = [JudgedQuery(text=text, language="en", grades={id: 1}) for text, id in LABELS]
    read = replace(
        beir_set(directory, "dev"),
        queries=[JudgedQuery(text="qqq zzz", language=OTHER, grades={"b": 1})],
        labels=labels,
    )
    measured = measure(Bundle(tiny_bundle), read)
    assert {row.examples for row in measured.recall} == set(EXAMPLES)
    assert measured.recall[Row(2, "dense", ALL)][1] == 1.0
    assert measured.queries == {ALL: 1}


def recall_of(**figures: float) -> dict[Row, dict[int, float]]:
    return {Row(0, mode, ALL): dict.fromkeys(DEPTHS, figure) for mode, figure in figures.items()}


def test_targets_depend_on_the_model_and_the_set() -> None:
    good = recall_of(dense=0.05, lexical=0.95, hybrid=0.95)
    assert missed_targets(good, model=MINILM, name="welfare-ko, dev") == []
    assert len(missed_targets(good, model=E5, name="welfare-ko, dev")) == 2
    assert missed_targets(recall_of(dense=0.5, lexical=0.5, hybrid=0.4), model="another", name="another") == [
        "hybrid R@1 is 0.400, more than 0.02 below 0.500"
    ]


def test_examples_that_lower_recall_miss_a_target() -> None:
    recall = recall_of(dense=0.5, lexical=0.5, hybrid=0.5)
    worse = {Row(1, "dense", ALL): dict.fromkeys(DEPTHS, 0.4)}
    assert missed_targets(recall | worse, model=E5, name="other") == ["dense R@1 (examples: 1) is 0.400, below 0.490"]
    little = {Row(1, "dense", ALL): dict.fromkeys(DEPTHS, 0.495)}
    assert missed_targets(recall | little, model=E5, name="another") == []
    assert any("examples: 1" in each for each in missed_targets(recall | little, model=E5, name="banking77, train"))
