from pathlib import Path

import numpy as np

from benchmarks.bootstrap.measuring import figures_of, measured_rows
from benchmarks.bootstrap.sets import RealSet
from export.bootstrap.synthetic.kinds import KINDS
from export.bootstrap.synthetic.phrases import phrases_by_rules
from export.evaluation.judged import JudgedQuery
from server.catalogue.document import Document
from server.encoding.bundle import Bundle


def test_each_kind_is_measured_against_documents_without_examples(tiny_bundle: Path) -> None:
    documents = [Document(id="a", title="aa bb", text="Cc dd."), Document(id="b", title="ee ff")]
    queries = [JudgedQuery(text="xyz", language="en", grades={"b": 1})]
    real = RealSet("made", documents, queries, ("people", [("xyz", "b")]))
    rows = measured_rows(real, Bundle(tiny_bundle), phrases=phrases_by_rules)
    assert [row.kind for row in rows] == ["none", *(kind for kind in (*KINDS, "all") for _ in range(2)), "people"]
    by_kind = {(row.kind, row.round_trip): row for row in rows}
    assert by_kind["title", "no"].queries == 2
    assert by_kind["unspaced", "no"].queries == 0
    people = by_kind["people", ""]
    assert people.figures[0].value == 1.0
    assert people.figures[0].change == 1.0 - by_kind["none", ""].figures[0].value


def test_a_change_has_an_interval() -> None:
    base = np.array([[1.0, 0.0, 0.0, 1.0]])
    (figure,) = figures_of(np.array([[1.0, 1.0, 0.0, 1.0]]), base)
    assert figure.value == 0.75
    assert figure.change == 0.25
    assert figure.interval == (0.0, 0.75)
    assert figures_of(base, None)[0].change_text == ""
