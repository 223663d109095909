from __future__ import annotations

import json
from pathlib import Path
from typing import cast

import pytest

from server.catalogue.document import Document
from server.encoding.bundle import Bundle
from tests.benchmarks.retrieval.__main__ import MODES, Served, measure, missed_bars
from tests.benchmarks.retrieval.sets import Asked, beir_set, sample_set


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


def test_a_set_in_beirs_layout_is_read(directory: Path) -> None:
    read = beir_set(directory, "dev")
    assert read.documents == [Document(id="a", title="lost card"), Document(id="b", text="transfer money abroad")]
    assert read.asked == [Asked("my card is lost", frozenset({0})), Asked("send money abroad", frozenset({1}))]


def test_the_sample_is_read() -> None:
    read = sample_set()
    assert all(asked.relevant and max(asked.relevant) < len(read.documents) for asked in read.asked)


def test_recall_and_rates_are_measured(directory: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    read = beir_set(directory, "dev")
    result = measure(Served(Bundle(tiny_bundle), read.documents, tmp_path / "index"), read)
    recall = cast("dict[str, dict[str, float]]", result["recall"])
    assert set(recall) == set(MODES)
    assert recall["lexical"] == recall["hybrid, weighted sum"] == {"R@1": 1.0, "R@10": 1.0}
    rates = cast("dict[str, float]", result["no_good_answer"])
    assert set(rates) == {f"{mode}, {scope}, en" for mode in MODES for scope in ("answerable", "out of scope")}


def test_bars_are_those_of_their_set() -> None:
    good = {"R@1": 0.7, "R@10": 0.95}
    recall = {"dense": {"R@1": 0.05, "R@10": 0.1}, "lexical": good, "hybrid, weighted sum": good}
    assert missed_bars({"recall": recall}, "welfare-ko, dev") == []
    assert len(missed_bars({"recall": {**recall, "lexical": {"R@1": 0.67, "R@10": 0.89}}}, "welfare-ko, dev")) == 2
    assert len(missed_bars({"recall": {**recall, "hybrid, weighted sum": {"R@1": 0.6}}}, "another")) == 1
