import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtest.analysis import bins
from loadtest.analysis.timeline import Timeline
from loadtest.codes import CODES, OK, REFUSED, UNANSWERED
from loadtest.stages import STAGES
from tests.loadtest.results_files import record, records


def timeline(*packed: bytes) -> Timeline:
    made = Timeline()
    made.add(records(packed))
    return made


def test_a_request_counts_for_its_planned_second_and_its_end_for_the_second_it_ended_in() -> None:
    made = timeline(record(0.0), record(0.999, 0.5), record(0.9999, 2.5), record(1.0))
    assert len(made) == 4
    assert made.planned.tolist() == [3, 1, 0, 0]
    assert made.answered.tolist() == [1, 2, 0, 1]
    assert made.codes[:, OK].tolist() == [3, 1, 0, 0]


def test_outcomes_are_counted_by_code_and_only_successes_have_latencies() -> None:
    made = timeline(record(0.1), record(0.2, code="RESOURCE_EXHAUSTED"), record(0.3, code="DEADLINE_EXCEEDED"))
    assert made.planned.tolist() == [3]
    assert made.answered.tolist() == [1]
    assert made.codes[0, OK] == made.codes[0, REFUSED] == made.codes[0, CODES.index("DEADLINE_EXCEEDED")] == 1
    assert made.codes.sum() == 3
    assert made.latency.sum() == made.service.sum() == 1


def test_unanswered_requests_are_counted_and_never_end() -> None:
    made = timeline(record(0.1), record(0.2, 1.5, code="UNANSWERED"))
    assert made.planned.tolist() == [2, 0]
    assert made.ended.tolist() == [1, 0]
    assert made.codes[0, UNANSWERED] == 1


def test_latency_is_from_the_planned_time_and_service_time_from_the_send() -> None:
    made = timeline(record(0.0, 0.100, late=0.060), record(5.0, 0.010))
    latency, service = (bins.percentiles(counts, [50.0])[:, 0] for counts in (made.latency, made.service))
    assert latency[[0, 5]] == pytest.approx([0.100, 0.010], rel=0.005)
    assert service[[0, 5]] == pytest.approx([0.040, 0.010], rel=0.005)
    assert np.isnan(latency[1:5]).all()


def test_stages_are_summed_over_the_successes_that_report_them() -> None:
    stages = (0.001, 0.002, 0.003, 0.004, 0.005)
    made = timeline(
        record(0.0, stages=stages),
        record(0.5, stages=stages),
        record(0.6),
        record(1.0, stages=stages, code="INTERNAL"),
        record(2.0, stages=stages),
    )
    assert made.staged.tolist() == [2, 0, 1]
    assert made.stage_sums.shape == (3, len(STAGES))
    assert made.stage_sums[0] == pytest.approx([2 * each for each in stages])
    assert made.stage_sums[1].tolist() == [0.0] * len(STAGES)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 200), st.floats(0, 20), st.sampled_from(["OK", "INTERNAL"])), max_size=40))
def test_the_split_of_records_does_not_matter(rows: list[tuple[float, float, str]]) -> None:
    packed = [record(planned, latency, code=code) for planned, latency, code in rows]
    whole = timeline(*packed)
    parts = Timeline()
    for start in range(0, len(packed), 7):
        parts.add(records(packed[start : start + 7]))
    for name in ("planned", "codes", "answered", "latency", "service", "stage_sums", "staged"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(parts, name))
    assert whole.planned.sum() == len(rows)
    assert whole.answered.sum() == sum(code == "OK" for _, _, code in rows)


def test_an_empty_timeline_has_no_seconds() -> None:
    made = timeline()
    assert len(made) == len(made.planned) == len(made.latency) == 0
