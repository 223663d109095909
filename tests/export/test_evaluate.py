from pathlib import Path

from export.evaluate import evaluate, format_table
from export.labelled_queries import load_labelled_queries
from server.catalogue.catalogue import load_catalogue
from server.ranking.options import Mode


def test_queries_are_searched_and_counted_by_language(tiny_bundle: Path, tmp_path: Path) -> None:
    catalogue, queries = tmp_path / "c.jsonl", tmp_path / "q.jsonl"
    catalogue.write_text(
        '{"id": "a", "title": "aaaa"}\n{"id": "b", "title": "bbbb"}\n{"id": "g", "title": "가가"}\n', encoding="utf-8"
    )
    queries.write_text(
        '{"query": "aaab", "language": "en", "relevant": ["a"]}\n'
        '{"query": "abbb", "language": "EN", "relevant": ["a"]}\n'
        '{"query": "가나가", "language": "ko", "relevant": ["g"]}\n',
        encoding="utf-8",
    )
    known = load_catalogue(catalogue)
    labelled = load_labelled_queries(queries, known)
    steps: list[str] = []
    ranks = evaluate(bundle=tiny_bundle, documents=known, queries=labelled, modes=list(Mode), progress=steps.append)
    assert steps[1:] == ["encoding 3 documents with onnxruntime", "searching 3 queries"]
    assert {language: ranks[Mode.DENSE, language] for language in ("all", "en", "ko")} == {
        "all": [1, 2, 1],
        "en": [1, 2],
        "ko": [1],
    }
    assert {mode for mode, _ in ranks} == set(Mode)
    assert ranks[Mode.LEXICAL, "en"][0] == 1
    assert "DENSE    en           2  0.500  1.000  1.000  1.000  0.750" in format_table(ranks)
