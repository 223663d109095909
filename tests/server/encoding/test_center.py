from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from server.encoding.bundle import Bundle
from server.encoding.center import centered
from server.encoding.kind import TextKind
from tests.tiny_bundle import make_bundle

DIMENSION = 32


def vectors(count: int, seed: int) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal((count, DIMENSION)).astype(np.float32)


@settings(max_examples=50, deadline=None)
@given(count=st.integers(1, 40), seed=st.integers(0, 1000))
def test_a_centered_vector_depends_only_on_its_own_vector(count: int, seed: int) -> None:
    rows, center = vectors(count, seed), vectors(1, seed + 1)[0]
    together = centered(rows, center)
    assert together.dtype == np.float32
    for row, expected in zip(rows, together, strict=True):
        assert centered(row[None], center).tobytes() == expected[None].tobytes()
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-6)


def test_centering_separates_unrelated_vectors_of_a_cone() -> None:
    cone = vectors(1, 1) * 3 + vectors(50, 2)
    cone /= np.linalg.norm(cone, axis=1, keepdims=True)
    assert np.mean(cone @ cone.T) > 0.7
    moved = centered(cone, cone.mean(axis=0))
    assert abs(np.mean(moved @ moved.T)) < 0.05


def test_a_vector_at_the_center_stays_finite() -> None:
    center = vectors(1, 3)[0]
    assert np.isfinite(centered(center[None], center)).all()


def test_a_bundle_with_a_center_serves_centered_vectors(tmp_path: Path) -> None:
    plain = Bundle(make_bundle(tmp_path / "plain", dimension=DIMENSION))
    center = vectors(1, 4)[0] / 10
    other = Bundle(make_bundle(tmp_path / "centered", dimension=DIMENSION, center=center))
    assert plain.manifest.revision != other.manifest.revision
    texts = [("찾아", TextKind.QUERY), ("find it", TextKind.TITLE)]
    assert other.encode_texts(texts).tobytes() == centered(plain.encode_texts(texts), center).tobytes()
    assert other.verify() == pytest.approx(1.0)
