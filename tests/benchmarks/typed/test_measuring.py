import json
from pathlib import Path

import pytest

from benchmarks.serving.setting import QUERIES
from benchmarks.typed.__main__ import measure, missed_targets
from benchmarks.typed.clean import beir_set
from benchmarks.typed.kinds import CLIPPINGS, KINDS, OWN_WORDS
from benchmarks.typed.measuring import MODES, Row, recall_of, typed_rows
from benchmarks.typed.queries import TypedQuery
from server.catalogue.catalogue import load_catalogue


def row(kind: str, recall: float, *, half: str = "judges") -> Row:
    return Row(kind, half, "DENSE", 9, 0, {1: recall, 5: 1.0}, 1.0)


def test_recall_counts_queries_with_a_relevant_document_among_the_first() -> None:
    answers = [(["a", "b"], {"a"}), (["a", "b"], {"b", "c"}), ([], {"a"}), (["b", "c", "d", "e", "f", "a"], {"a"})]
    assert recall_of(answers) == {1: 0.25, 5: 0.5}


def test_kinds_and_halves_are_counted_apart() -> None:
    queries = [
        TypedQuery("initials", "ㅋㄷ", "카드", frozenset({"a", "b"}), is_ambiguous=True, judges=False),
        TypedQuery("initials", "ㅎㅈ", "환전", frozenset({"c"}), is_ambiguous=False, judges=True),
    ]
    found = {"DENSE": {"ㅋㄷ": ["b"], "ㅎㅈ": ["a"], "카드": ["x"], "환전": ["c"]}}
    chooses, judges = typed_rows(queries, found)
    assert (chooses.half, chooses.ambiguous, chooses.recall[1], chooses.meant_recall) == ("chooses", 1, 1.0, 0.0)
    assert (judges.half, judges.ambiguous, judges.recall[1], judges.meant_recall) == ("judges", 0, 0.0, 1.0)


def test_only_the_judging_half_misses_targets() -> None:
    assert missed_targets([row("initials", 0.95), row("initials", 0.5, half="chooses"), row("own words", 0.1)]) == []
    assert missed_targets([row("initials", 0.5)]) == ["initials: DENSE R@1 is 0.500, below 0.900"]
    assert missed_targets([row("own words on QWERTY", 0.99)]) == []
    assert missed_targets([row("own words on QWERTY", 0.95)]) == [
        "own words on QWERTY: DENSE R@1 is 0.950, below 0.980"
    ]


def test_a_set_is_written_as_a_catalogue(tmp_path: Path) -> None:
    (tmp_path / "set/qrels").mkdir(parents=True)
    (tmp_path / "set/corpus.jsonl").write_text('{"_id": "a", "title": "환전"}\n{"_id": "b", "text": "적금"}\n', "utf-8")
    (tmp_path / "set/queries.jsonl").write_text('{"_id": "1", "text": "달러로 바꾸기"}\n', "utf-8")
    (tmp_path / "set/qrels/dev.tsv").write_text("query-id\tcorpus-id\tscore\n1\ta\t1\n", "utf-8")
    read = beir_set(tmp_path / "set", folder=tmp_path)
    assert [document.id for document in load_catalogue(read.catalogue)] == ["a", "b"]
    assert [(each.query, each.relevant) for each in read.queries] == [("달러로 바꾸기", ["a"])]


@pytest.mark.slow
def test_a_server_is_measured(tiny_bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = measure(tiny_bundle, [])
    assert {each.mode for each in rows} == set(MODES)
    assert {each.kind for each in rows if each.half} == {*KINDS, *OWN_WORDS, CLIPPINGS}
    assert all(0 <= each.recall[1] <= each.recall[5] <= 1 for each in rows)
    languages = {json.loads(line)["language"] for line in QUERIES.read_text("utf-8").splitlines()}
    assert {each.kind for each in rows if not each.half} == {f"sample, {language}" for language in languages}
    assert "| initials | judges |" in capsys.readouterr().out
