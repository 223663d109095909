import json
from pathlib import Path

import pytest

from benchmarks.serving.setting import QUERIES
from benchmarks.typed.__main__ import measure, missed_targets
from benchmarks.typed.clean import CleanRow, beir_set
from benchmarks.typed.kinds import CLIPPINGS, KINDS, OWN_WORDS
from benchmarks.typed.measuring import MODES, Answer, Row, recall_of, typed_rows
from benchmarks.typed.queries import TypedQuery
from server.catalogue.catalogue import load_catalogue


def row(kind: str, recall: float, *, half: str = "judges") -> Row:
    return Row(kind, half, "DENSE", 9, 0, {1: recall, 5: 1.0}, 1.0)


def test_recall_counts_queries_with_a_relevant_document_among_the_first() -> None:
    found = [(["a", "b"], {"a"}), (["a", "b"], {"b", "c"}), ([], {"a"}), (["b", "c", "d", "e", "f", "a"], {"a"})]
    assert recall_of([(Answer(documents), relevant) for documents, relevant in found]) == {1: 0.25, 5: 0.5}


def test_kinds_and_halves_are_counted_apart() -> None:
    queries = [
        TypedQuery("initials", "ㅋㄷ", "카드", frozenset({"a", "b"}), is_ambiguous=True, judges=False),
        TypedQuery("initials", "ㅎㅈ", "환전", frozenset({"c"}), is_ambiguous=False, judges=True),
    ]
    found = {"ㅋㄷ": ["b"], "ㅎㅈ": ["a"], "카드": ["x"], "환전": ["c"]}
    answers = {"DENSE": {text: Answer(documents) for text, documents in found.items()}}
    chooses, judges = typed_rows(queries, answers)
    assert (chooses.half, chooses.ambiguous, chooses.recall[1], chooses.meant_recall) == ("chooses", 1, 1.0, 0.0)
    assert (judges.half, judges.ambiguous, judges.recall[1], judges.meant_recall) == ("judges", 0, 0.0, 1.0)


def test_only_the_judging_half_misses_targets() -> None:
    rows = [row("initials", 0.95), row("initials", 0.5, half="chooses"), row("own words", 0.1)]
    assert missed_targets(rows, []) == []
    assert missed_targets([row("initials", 0.5)], []) == ["initials: DENSE R@1 is 0.500, below 0.900"]
    assert missed_targets([row("own words on QWERTY", 0.99)], []) == []
    assert missed_targets([row("own words on QWERTY", 0.95)], []) == [
        "own words on QWERTY: DENSE R@1 is 0.950, below 0.980"
    ]


def test_queries_without_slips_may_lose_little_and_hardly_be_interpreted() -> None:
    def missed(loss: float, interpreted: int, *, has_slips: bool = False) -> list[str]:
        recall = {1: 0.5 - loss, 5: 1.0}
        found = CleanRow("faq", "faq", "DENSE", 1000, {1: 0.5, 5: 1.0}, recall, interpreted, has_slips)
        return missed_targets([], [found])

    assert missed(0.001, 1) == missed(-0.1, 0) == missed(0.0, 99, has_slips=True) == []
    assert missed(0.003, 0) == ["faq: DENSE loses 0.0030 R@1 by interpretations, above 0.002"]
    assert missed(0.0, 2) == [
        "faq: with the catalogue of faq, 2 of 1000 queries are interpreted, above 0.1%",
    ]
    assert missed_targets([], [CleanRow("faq", "sample", "DENSE", 1000, None, None, 1, has_slips=False)]) == []


def beir_folder(folder: Path) -> Path:
    """Writes a set whose query is the keys of a word of the sample."""
    (folder / "set/qrels").mkdir(parents=True)
    (folder / "set/corpus.jsonl").write_text('{"_id": "a", "title": "달러"}\n{"_id": "b", "text": "예금"}\n', "utf-8")
    (folder / "set/queries.jsonl").write_text('{"_id": "1", "text": "ghkswjs"}\n', "utf-8")
    (folder / "set/qrels/dev.tsv").write_text("query-id\tcorpus-id\tscore\n1\ta\t1\n", "utf-8")
    return folder / "set"


def test_a_set_is_written_as_a_catalogue(tmp_path: Path) -> None:
    read = beir_set(beir_folder(tmp_path), folder=tmp_path)
    assert [document.id for document in load_catalogue(read.catalogue)] == ["a", "b"]
    assert [(each.query, each.relevant) for each in read.queries] == [("ghkswjs", ["a"])]


@pytest.mark.slow
def test_a_server_is_measured(tiny_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows, clean = measure(tiny_bundle, [beir_folder(tmp_path)])
    assert {each.mode for each in rows} == set(MODES)
    assert {each.kind for each in rows} == {*KINDS, *OWN_WORDS, CLIPPINGS}
    assert all(0 <= each.recall[1] <= each.recall[5] <= 1 for each in rows)
    languages = {json.loads(line)["language"] for line in QUERIES.read_text("utf-8").splitlines()}
    of_sample = {(f"sample, {language}", "sample") for language in languages}
    assert {(each.name, each.catalogue) for each in clean} == {*of_sample, ("set", "sample"), ("set", "set")}
    assert [each.interpreted for each in clean if each.name == "set"] == [1, 0, 0]
    printed = capsys.readouterr().out
    assert "| initials | judges |" in printed
    assert "| set | sample | DENSE | 1 |" in printed
