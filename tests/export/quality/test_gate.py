from collections.abc import Collection

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from export.errors import ExportError
from export.quality.closeness import Closeness
from export.quality.exclusion import find_exclusions, matching
from export.quality.gate import Quality, Thresholds, threshold_flags
from export.quality.invariance import Invariance
from export.quality.retrieval import Retrieval

GOOD = Quality(
    closeness=Closeness(texts=9, cosine_mean=0.998, cosine_p1=0.995, cosine_min=0.99),
    long_texts=Closeness(texts=3, cosine_mean=0.9985, cosine_p1=0.996, cosine_min=0.996),
    longest_tokens=512,
    invariance=Invariance(texts=9, worst_cosine=1.0, identical_share=1.0),
    retrieval=Retrieval(
        corpus="c", documents=9, queries=9, top10_overlap=0.97, recall_fp32={1: 0.5, 5: 0.8}, recall={1: 0.52, 5: 0.79}
    ),
)
NAMES = [f"layers.{layer}.{product}" for layer in range(6) for product in ("qkv", "output")]


def test_a_good_bundle_misses_nothing() -> None:
    assert Thresholds().missed(GOOD) == []
    assert {name for name, _, _ in threshold_flags()} == set(vars(Thresholds()))


@pytest.mark.parametrize(
    ("thresholds", "missed"),
    [
        (Thresholds(min_cosine_mean=0.999), ["--min-cosine-mean 0.999: measured 0.998"]),
        (Thresholds(min_cosine_p1=0.999), ["--min-cosine-p1 0.999: measured 0.995"]),
        (Thresholds(min_cosine_min=0.999), ["--min-cosine-min 0.999: measured 0.99"]),
        (Thresholds(min_top10_overlap=0.98), ["--min-top10-overlap 0.98: measured 0.97"]),
        (Thresholds(max_recall_loss=0.005), ["--max-recall-loss 0.005: measured 0.01"]),
        (Thresholds(max_recall_loss=0.01, min_invariance=1.0), []),
    ],
)
def test_every_threshold_can_be_missed(thresholds: Thresholds, missed: list[str]) -> None:
    assert thresholds.missed(GOOD) == missed


def test_long_texts_must_reach_the_thresholds_on_their_own() -> None:
    far = Closeness(texts=3, cosine_mean=0.95, cosine_p1=0.89, cosine_min=0.89)
    assert Thresholds().missed(msgspec.structs.replace(GOOD, long_texts=far)) == [
        "--min-cosine-mean 0.97: measured 0.95",
        "--min-cosine-min 0.9: measured 0.89",
    ]


def test_nan_misses_its_threshold() -> None:
    bad = msgspec.structs.replace(GOOD, closeness=msgspec.structs.replace(GOOD.closeness, cosine_mean=float("nan")))
    assert Thresholds().missed(bad) == ["--min-cosine-mean 0.97: measured nan"]


def test_patterns_name_products() -> None:
    assert matching(["layers.1.*", "*.5.qkv"], NAMES) == ["layers.1.qkv", "layers.1.output", "layers.5.qkv"]
    assert matching([], NAMES) == []
    with pytest.raises(
        ExportError, match=r"--exclude layers.9.\*: no product has this name; the products are layers.0.qkv, "
    ):
        matching(["layers.9.*"], NAMES)


@given(hostile=st.sets(st.sampled_from(NAMES), min_size=1, max_size=4), order=st.permutations(NAMES))
def test_exactly_the_harmful_products_are_found(hostile: set[str], order: list[str]) -> None:
    # One harmful product fails the gate, so excluding only some of them gains nothing.
    found = find_exclusions(
        order,
        excluded=[],
        score=lambda excluded: 0.0 if hostile - set(excluded) else 1.0,
        passes=lambda excluded: hostile <= set(excluded),
        progress=lambda step: None,
    )
    assert found is not None
    assert set(found) == hostile


def test_products_excluded_before_stay_excluded_and_are_not_tried() -> None:
    tried: list[str] = []

    def score(excluded: Collection[str]) -> float:
        (name,) = set(NAMES) - set(excluded)
        tried.append(name)
        return 0.0 if name == NAMES[7] else 1.0

    def passes(excluded: Collection[str]) -> bool:
        return {NAMES[2], NAMES[7]} <= set(excluded)

    found = find_exclusions(NAMES, excluded=[NAMES[2]], score=score, passes=passes, progress=lambda step: None)
    assert found == [NAMES[7]]
    assert NAMES[2] not in tried


def test_an_exclusion_that_does_not_help_is_undone() -> None:
    def score(excluded: Collection[str]) -> float:
        (name,) = set(NAMES) - set(excluded)
        return {NAMES[3]: -2.0, NAMES[4]: -1.0}.get(name, 0.0)

    steps: list[str] = []
    found = find_exclusions(
        NAMES, excluded=[], score=score, passes=lambda excluded: NAMES[4] in excluded, progress=steps.append
    )
    assert found == [NAMES[4]]
    assert steps[-2:] == [f"{NAMES[3]} left out: not enough", f"{NAMES[4]} left out: enough"]


def test_the_search_ends_at_once_if_no_exclusion_can_help() -> None:
    tried: list[int] = []

    def passes(excluded: Collection[str]) -> bool:
        tried.append(len(excluded))
        return False

    found = find_exclusions(NAMES, excluded=["x"], score=lambda e: 0.0, passes=passes, progress=lambda step: None)
    assert found is None
    assert tried == [1 + len(NAMES) // 3]
