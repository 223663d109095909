import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.encoding.shortening import shortened


@settings(max_examples=50, deadline=None)
@given(count=st.integers(1, 40), dimension=st.integers(1, 31), seed=st.integers(0, 1000))
def test_a_shortened_vector_depends_only_on_its_own_vector(count: int, dimension: int, seed: int) -> None:
    whole = np.random.default_rng(seed).standard_normal((count, 32)).astype(np.float32)
    together = shortened(whole, dimension, unit_length=True)
    assert together.dtype == np.float32
    assert together.shape == (count, dimension)
    for row, expected in zip(whole, together, strict=True):
        assert shortened(row[None], dimension, unit_length=True).tobytes() == expected[None].tobytes()


def test_the_first_numbers_stay_and_get_unit_length_only_if_asked() -> None:
    whole = np.array([[3, 4, 5], [0, 0, 1]], np.float32)
    np.testing.assert_array_equal(shortened(whole, 2, unit_length=False), [[3, 4], [0, 0]])
    np.testing.assert_allclose(shortened(whole, 2, unit_length=True), [[0.6, 0.8], [0.0, 0.0]], atol=1e-7)


@pytest.mark.parametrize("unit_length", [False, True])
def test_whole_vectors_are_unchanged(unit_length: bool) -> None:
    whole = np.array([[3, 4]], np.float32)
    assert shortened(whole, 2, unit_length=unit_length) is whole
