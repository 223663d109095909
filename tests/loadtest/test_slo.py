import json
import math
import re
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtest.analysis.objective import parse_objective
from loadtest.analysis.summary import Summary, summarize
from loadtest.digits import four_digits
from loadtest.errors import AttackError
from loadtest.reports.slo import answer_notes, answer_object
from loadtest.reports.slo_page import answer_page
from loadtest.reports.verdict import cache_notes
from loadtest.slo import Answer, lower_bound, search
from loadtest.trial import Trial
from tests.loadtest.results_files import record, write_run


@pytest.fixture(scope="module")
def summary(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    return summarize([write_run(tmp_path_factory.mktemp("slo") / "run.bin", [record()])])


def searched(summary: Summary, capacity: float, *, limited_above: float = math.inf, **options: float) -> Answer:
    """Searches a server that meets the objectives up to `capacity`; the generator saturates above `limited_above`."""

    def measure(rate: float) -> Trial:
        met = rate <= min(capacity, limited_above)
        saturated = rate > limited_above
        return Trial(rate, summary, 3 if met else 0, 3, () if met else ("too slow",), saturated)

    return search(measure, **{"start": 50.0, **options})  # type: ignore[arg-type]


@given(st.floats(0.2, 100_000), st.floats(1, 5_000), st.sampled_from([0.01, 0.05, 0.2]))
@settings(deadline=None, max_examples=60)
def test_the_highest_rate_is_found_to_the_precision(
    summary: Summary, capacity: float, start: float, precision: float
) -> None:
    answer = searched(summary, capacity, start=start, precision=precision)
    assert answer.highest is not None
    assert answer.failing is not None
    assert answer.highest <= capacity < answer.failing <= answer.highest * (1 + precision) * 1.0001
    assert answer.confirmed[0] == answer.confirmed[1] >= 3
    assert len(answer.trials) < 60
    assert (
        f"{four_digits(answer.highest)} requests a second meet the objectives; {four_digits(answer.failing)}/s does"
        in answer.line()
    )


def test_a_limit_ends_the_search(summary: Summary) -> None:
    answer = searched(summary, 1e9, limit=300.0)
    assert (answer.highest, answer.failing) == (300.0, None)
    assert "no higher rate was tried" in answer.line()


@pytest.mark.parametrize(("encode", "warned"), [(0.0, True), (0.004, False)])
def test_an_answer_from_the_cache_is_stated(tmp_path: Path, encode: float, warned: bool) -> None:
    packed = [record(number / 10, stages=(0.001, 0.0, encode, 0.001, 0.001)) for number in range(10)]
    answer = searched(summarize([write_run(tmp_path / "run.bin", packed)]), 100.0, limit=100.0)
    made = answer_object(answer, [])
    assert bool(answer_notes(answer)) == bool(made["notes"]) == warned
    assert {trial["cached_share"] for trial in made["trials"]} == {float(warned)}
    assert ("--unique" in answer_page(answer, [])) == warned


def test_the_note_about_the_cache_does_not_advise_a_flag_that_would_be_refused(tmp_path: Path) -> None:
    packed = [record(stages=(0.001, 0.0, 0.0, 0.001, 0.001))]
    compared = write_run(tmp_path / "run.bin", packed, compared_with_reference_answers=True)
    [note] = cache_notes(summarize([compared]))
    assert "--cache-bytes 0" in note
    assert "--unique" not in note


def test_several_trials_at_a_rate_are_marks_and_one_point_of_the_line(summary: Summary) -> None:
    rates = [100.0, 200.0, 200.0]
    trials = tuple(Trial(rate, summary, 3, 3, (), saturated=False) for rate in rates)
    page = answer_page(Answer(trials, highest=200.0, failing=None, limited=False), [parse_objective("p99<50ms")])
    charts = [json.loads(each)["data"] for each in re.findall(r'<script type="application/json">(.*?)</script>', page)]
    for lines, marks in zip(charts[0][::2], charts[0][1::2], strict=True):
        assert (lines["mode"], lines["x"]) == ("lines", [100.0, 200.0])
        assert (marks["mode"], marks["x"]) == ("markers", rates)


def test_a_server_that_meets_no_rate_is_reported(summary: Summary) -> None:
    answer = searched(summary, 0.0)
    assert answer.highest is None
    assert answer.line() == "No rate met the objectives."


def test_a_saturated_generator_is_reported_as_the_limit(summary: Summary) -> None:
    answer = searched(summary, 1e9, limited_above=500.0)
    assert answer.highest is not None
    assert answer.highest <= 500 < (answer.failing or 0)
    assert answer.limited
    assert "the generator is the limit above it" in answer.line()


def test_a_trial_with_a_saturated_generator_is_repeated(summary: Summary) -> None:
    spoilt: list[float] = []

    def measure(rate: float) -> Trial:
        spoils = rate == 100 and not spoilt
        if spoils:
            spoilt.append(rate)
        met = rate <= 300 and not spoils
        return Trial(rate, summary, 3 if met else 0, 3, () if met else ("too slow",), spoils)

    answer = search(measure, start=50)
    assert spoilt == [100]
    assert answer.highest is not None
    assert answer.highest > 280
    assert not answer.limited


def test_an_unconfirmed_rate_is_replaced_by_a_lower_one(summary: Summary) -> None:
    tried: dict[float, int] = {}

    def measure(rate: float) -> Trial:
        tried[rate] = tried.get(rate, 0) + 1
        met = rate <= 300 and not (rate > 250 and tried[rate] > 1)  # Above 250 only the first trial is met.
        return Trial(rate, summary, 3 if met else 0, 3, () if met else ("too slow",), saturated=False)

    answer = search(measure, start=50)
    assert answer.highest is not None
    assert 200 < answer.highest <= 250


def test_an_interrupted_search_reports_its_result_so_far(summary: Summary) -> None:
    def measure(rate: float) -> Trial:
        if rate > 200:
            raise KeyboardInterrupt
        return Trial(rate, summary, 3, 3, (), saturated=False)

    answer = search(measure, start=50)
    assert [trial.rate for trial in answer.trials] == [50, 100, 200]
    assert answer.line() == "PARTIAL: interrupted before the confirmation; 200 requests a second met the objectives."


def test_a_server_that_dies_in_a_search_leaves_the_result_so_far(summary: Summary) -> None:
    def measure(rate: float) -> Trial:
        if rate > 200:
            raise AttackError("x:1 does not answer")
        return Trial(rate, summary, 3, 3, (), saturated=False)

    answer = search(measure, start=50)
    assert answer.line() == ("PARTIAL: a trial failed (x:1 does not answer); 200 requests a second met the objectives.")
    assert (answer.interrupted, answer.sure) == (False, False)
    assert answer_object(answer, [])["trouble"] == "x:1 does not answer"
    with pytest.raises(AttackError, match="x:1 does not answer"):
        search(measure, start=300)


def test_a_search_that_ended_before_its_first_trial_has_a_page_and_an_object() -> None:
    def measure(rate: float) -> Trial:
        raise KeyboardInterrupt

    answer = search(measure, start=50)
    assert answer.line() == "PARTIAL: interrupted before the confirmation; no rate met the objectives."
    assert "PARTIAL" in answer_page(answer, [parse_objective("p99<50ms")])
    assert answer_object(answer, [])["trials"] == []


def test_the_lower_bound_is_exact() -> None:
    for trials in (1, 3, 10):
        assert lower_bound(trials, trials) == pytest.approx(0.05 ** (1 / trials))
    # A chance of 0.15003 gives 4 or more of 10 in 5 % of cases: the binomial distribution, summed by hand.
    tail = 1 - sum(math.comb(10, k) * 0.15003**k * 0.84997 ** (10 - k) for k in range(4))
    assert tail == pytest.approx(0.05, abs=0.0001)
    assert lower_bound(4, 10) == pytest.approx(0.15003, abs=0.0001)
    assert lower_bound(0, 9) == lower_bound(0, 0) == 0


def test_one_narrowly_failed_trial_does_not_decide_the_search(summary: Summary) -> None:
    random = Random(7)

    def measure(rate: float) -> Trial:
        met = rate <= 400 and random.random() > 0.1
        return Trial(rate, summary, 3 if met else 1 if rate <= 400 else 0, 3, () if met else ("bad luck",), False)

    found = sorted(search(measure, start=50).highest or 0 for _ in range(100))
    assert found[10] > 200
    assert found[50] > 350
