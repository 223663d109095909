"""The measures of the server are those of the exporter's evaluation."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from export.evaluation.judged import JudgedQuery
from export.evaluation.measures import NAMES, measured
from server.shadow.measures import MEASURES, measures_of

IDS = [f"d{number}" for number in range(15)]


@given(
    found=st.lists(st.sampled_from(IDS), unique=True, max_size=12), relevant=st.sets(st.sampled_from(IDS), min_size=1)
)
def test_they_equal_those_of_ir_measures(found: list[str], relevant: set[str]) -> None:
    query = JudgedQuery(text="q", language="ko", grades=dict.fromkeys(sorted(relevant), 1))
    expected = measured([query], [found])[[NAMES.index(name) for name in MEASURES], 0]
    assert measures_of(found, relevant) == pytest.approx(expected.tolist())
