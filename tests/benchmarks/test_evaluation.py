"""Tests the made set of the benchmark of evaluations, and that its steps are timed."""

from pathlib import Path

import pytest

from benchmarks.evaluation import TUNING_QUERIES, made_set, measure
from export.quality.corpus import SAMPLE
from server.catalogue.catalogue import load_catalogue
from server.encoding.bundle import Bundle


def test_made_documents_and_queries_are_distinct_and_belong_together() -> None:
    sample = load_catalogue(SAMPLE / "catalogue.jsonl")
    made = made_set(sample, documents=1000, queries=400)
    assert len({each.id for each in made.documents}) == len({str(each.title) for each in made.documents}) == 1000
    assert (len({each.key for each in made.queries}), len(made.tuning)) == (400, TUNING_QUERIES)
    assert {id for each in made.queries for id in each.grades} <= {each.id for each in made.documents}


def test_all_steps_after_encoding_are_timed(tiny_bundle: Path) -> None:
    figures = list(measure(Bundle(tiny_bundle), documents=300, queries=20))
    *steps, total = figures
    assert sum(each.median for each in steps) == pytest.approx(total.median)
    assert {"DENSE", "LEXICAL", "HYBRID", "words", "bigrams"} <= {each.name.split()[-1] for each in steps}
    assert not total.missed
