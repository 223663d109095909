from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.errors import SettingsError
from server.similarity import Similarity
from server.vectors.storage import STORAGES, Storage, check_storage, to_graph, to_rows


@pytest.mark.parametrize(("storage", "share"), [("f32", 1), ("f16", 2), ("i8", 4)])
def test_smaller_types_take_less_memory(storage: Storage, share: int) -> None:
    vectors = np.random.default_rng(0).standard_normal((100, 32)).astype(np.float32)
    assert to_graph(to_rows(vectors, "cosine", storage), storage).nbytes == vectors.nbytes / share


@given(st.floats(1e-30, 1e30), st.integers(0, 2**16))
def test_i8_keeps_the_direction_whatever_the_length(length: float, seed: int) -> None:
    vectors = np.random.default_rng(seed).standard_normal((5, 64)).astype(np.float32)
    kept = to_graph(vectors * np.float32(length), "i8")
    assert (np.abs(kept.astype(np.int32)).max(axis=1) == 127).all()
    products = np.einsum("nd,nd->n", vectors, kept.astype(np.float32))
    lengths = np.linalg.norm(vectors, axis=1) * np.linalg.norm(kept.astype(np.float32), axis=1)
    np.testing.assert_allclose(products / lengths, 1, atol=1e-3)


def test_a_vector_of_zeros_stays_zero() -> None:
    zeros = np.zeros((1, 8), dtype=np.float32)
    assert not to_graph(to_rows(zeros, "cosine", "i8"), "i8").any()


def test_numbers_too_large_for_f16_become_its_largest_number() -> None:
    assert to_rows(np.array([[1e9, -1e9]], dtype=np.float32), "dot", "f16").tolist() == [[65504, -65504]]


def test_only_i8_with_inner_products_is_rejected() -> None:
    for similarity in get_args(Similarity):
        for storage in STORAGES:
            if (storage, similarity) != ("i8", "dot"):
                check_storage(storage, similarity)
    with pytest.raises(SettingsError, match=r"--index-storage i8 .* use f16 or f32"):
        check_storage("i8", "dot")
