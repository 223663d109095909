import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from export.packed.rounding import Rounding, round_jointly, round_to_nearest


def related_rows(random: np.random.Generator, count: int, inputs: int) -> NDArray[np.float32]:
    """Returns rows made from few random factors, so that their channels are correlated."""
    causes = random.standard_normal((count, max(1, inputs // 4))) @ random.standard_normal(
        (max(1, inputs // 4), inputs)
    )
    return (causes + 0.1 * random.standard_normal((count, inputs))).astype(np.float32)


def change(
    rows: NDArray[np.float32], weight: NDArray[np.float32], rounded: tuple[NDArray[np.int8], NDArray[np.float32]]
) -> float:
    """Returns the relative change of the product."""
    levels, scale = rounded
    return float(np.linalg.norm(rows @ (levels * scale - weight)) / np.linalg.norm(rows @ weight))


@pytest.mark.parametrize("inputs", [8, 64, 300])
def test_joint_rounding_changes_products_less_even_for_unmeasured_rows(inputs: int) -> None:
    random = np.random.default_rng(inputs)
    rows = related_rows(random, 4000, inputs)
    measured, others = rows[:3000], rows[3000:]
    weight = random.standard_normal((inputs, 32)).astype(np.float32)
    jointly = change(others, weight, round_jointly(weight, measured.T @ measured))
    assert jointly < 0.7 * change(others, weight, round_to_nearest(weight))


@given(st.integers(1, 200), st.integers(1, 8), st.integers(0, 2**32 - 1), st.booleans())
@settings(max_examples=50, deadline=None)
def test_bytes_and_scales_are_valid_for_any_moments(inputs: int, outputs: int, seed: int, some: bool) -> None:
    random = np.random.default_rng(seed)
    weight = random.standard_normal((inputs, outputs)).astype(np.float32)
    weight[:, random.random(outputs) < 0.2] = 0
    rows = related_rows(random, 1 + inputs // 10, inputs)
    if some:
        rows[:, random.random(inputs) < 0.5] = 0
    levels, scale = Rounding({"a": rows.T @ rows}).round(weight, "a")
    nearest, its_scale = round_to_nearest(weight)
    assert levels.dtype == np.int8
    assert levels.shape == weight.shape
    assert int(np.abs(levels.astype(np.int16)).max()) <= 127
    np.testing.assert_array_equal(scale, its_scale)
    np.testing.assert_array_equal(levels[:, ~weight.any(axis=0)], 0)
    # A channel that was always zero has no error to compensate, and no other channel compensates for it.
    unseen = ~rows.any(axis=0)
    np.testing.assert_array_equal(levels[unseen], nearest[unseen])


def test_uncorrelated_channels_are_rounded_to_the_nearest() -> None:
    weight = np.random.default_rng(0).standard_normal((50, 20)).astype(np.float32)
    jointly = round_jointly(weight, np.diag(np.arange(1, 51)).astype(np.float32))
    for one, other in zip(jointly, round_to_nearest(weight), strict=True):
        np.testing.assert_array_equal(one, other)


def test_products_without_moments_are_rounded_to_the_nearest() -> None:
    weight = np.random.default_rng(0).standard_normal((50, 20)).astype(np.float32)
    rounding = Rounding({"zero": np.zeros((50, 50), np.float32)})
    for name in ("zero", "another"):
        np.testing.assert_array_equal(rounding.round(weight, name)[0], round_to_nearest(weight)[0])
