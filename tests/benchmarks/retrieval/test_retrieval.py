import json
from pathlib import Path

import pytest

from benchmarks.retrieval.measuring import ALL, DEPTHS, EXAMPLES, MODES, Row, measure
from benchmarks.retrieval.sets import MOST_EXAMPLES, Asked, beir_set, sample_set
from benchmarks.retrieval.targets import E5, MINILM, missed_targets
from server.catalogue.document import Document
from server.encoding.bundle import Bundle


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


def test_a_whole_set_is_read(directory: Path) -> None:
    read = beir_set(directory, "dev")
    assert read.documents == [Document(id="a", title="lost card"), Document(id="b", text="transfer money abroad")]
    assert set(read.asked) == {Asked("my card is lost", frozenset({0})), Asked("send money abroad", frozenset({1}))}


def test_the_sample_is_read() -> None:
    read = sample_set()
    assert all(asked.relevant and max(asked.relevant) < len(read.documents) for asked in read.asked)


def test_examples_are_training_questions_outside_the_labelled_queries(directory: Path) -> None:
    rows = [{"_id": str(number), "text": f"lost card {number}"} for number in range(3, 20)]
    rows.append({"_id": "20", "text": "my card is lost"})
    with (directory / "queries.jsonl").open("a", encoding="utf-8") as file:
        file.write("\n" + "\n".join(map(json.dumps, rows)))
    labels = "".join(f"{number}\ta\t1\n" for number in range(3, 21))
    (directory / "qrels/train.tsv").write_text("query-id\tcorpus-id\tscore\n" + labels, encoding="utf-8")
    read = beir_set(directory, "dev")
    assert [len(each) for each in read.examples] == [MOST_EXAMPLES, 0]
    assert "my card is lost" not in read.examples[0]
    assert read.examples == beir_set(directory, "dev").examples
    assert beir_set(directory, "train").examples == [[], []]


def test_recall_and_shares_of_flagged_queries_are_measured(directory: Path, tiny_bundle: Path) -> None:
    read = beir_set(directory, "dev")
    measured = measure(Bundle(tiny_bundle), read)
    assert {row.mode for row in measured.recall} == set(MODES)
    assert {row.examples for row in measured.recall} == {0}
    assert measured.recall[Row(0, "lexical", "en")] == measured.recall[Row(0, "hybrid", "en")]
    assert measured.recall[Row(0, "hybrid", ALL)] == dict.fromkeys(DEPTHS, 1.0)
    kinds = ("answerable", "out of scope", "nonsense", "other apps")
    assert set(measured.flagged) == {(mode, "en", kind) for mode in MODES for kind in kinds}


def test_examples_are_indexed_and_found(directory: Path, tiny_bundle: Path) -> None:
    read = beir_set(directory, "dev")._replace(
        asked=[Asked("qqq zzz", frozenset({1}))], examples=[["vvv"], ["qqq zzz", "www"]]
    )
    recall = measure(Bundle(tiny_bundle), read).recall
    assert {row.examples for row in recall} == set(EXAMPLES)
    assert recall[Row(1, "dense", ALL)][1] == 1.0


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
