"""Tests the native encoder. tests/export/packed/test_parity.py compares its vectors with those of transformers."""

import contextlib
import ctypes.util
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from server.encoding.native.architecture import ARCHITECTURE, Architecture, can_lay_out
from server.encoding.native.encoder import NativeEncoder, open_native
from server.encoding.native.library import LIBRARY, NEEDED_FLAGS, cpu_can_run, load_library
from server.encoding.native.weights import lay_out
from server.errors import BundleError
from tests.server.encoding.native.random_tensors import random_tensors

pytestmark = pytest.mark.skipif(not cpu_can_run(), reason="the CPU has no AVX-512 with VNNI")

PLAIN = Architecture(heads=4, layers=2, epsilon=1e-12, activation="gelu", pooling="mean", normalise=True)
SHAPE: dict[str, Any] = {"hidden": 64, "inner": 96}
RANDOM = np.random.default_rng(2)
TEXTS = [RANDOM.integers(0, 90, length).tolist() for length in (*range(1, 19), 27, 28, 29, 57, 200)]


def native(*, run_tokens: int = 168) -> NativeEncoder:
    library = load_library()
    assert library is not None, f"{LIBRARY} is missing: make native"
    return NativeEncoder(library, PLAIN, random_tensors(PLAIN, **SHAPE), run_tokens=run_tokens)


@settings(max_examples=30, deadline=None)
@given(run_tokens=st.integers(1, 400), order=st.permutations(range(len(TEXTS))))
def test_a_vector_does_not_depend_on_the_other_texts_of_its_batch(run_tokens: int, order: list[int]) -> None:
    alone = np.concatenate([native().encode([text]) for text in TEXTS])
    together = native(run_tokens=run_tokens).encode([TEXTS[position] for position in order])
    assert together.tobytes() == alone[order].tobytes()


def test_threads_do_not_disturb_each_other() -> None:
    encoder = native()
    expected = encoder.encode(TEXTS).tobytes()
    with ThreadPoolExecutor(4) as pool:
        found = pool.map(lambda _: encoder.encode(TEXTS).tobytes(), range(80))
    assert set(found) == {expected}


def test_unknown_tokens_and_wrong_lengths_are_rejected() -> None:
    encoder = native()
    rejected: list[list[list[int]]] = [[[90]], [[-1]], [[]], [[1], []], [[1] * 201]]
    for texts in rejected:
        with pytest.raises(ValueError, match=r"texts have 1 to 200 tokens|tokens are 0 to 89"):
            encoder.encode(texts)
    assert encoder.encode([]).shape == (0, 64)


@pytest.mark.parametrize("name", random_tensors(PLAIN, embedding=32, distance_bias=True, **SHAPE))
def test_a_tensor_of_another_shape_or_type_is_rejected(name: str) -> None:
    tensors = random_tensors(PLAIN, embedding=32, distance_bias=True, **SHAPE)
    lay_out(PLAIN, tensors)
    for changed in (tensors[name][:-1], tensors[name].astype(np.float64)):
        with pytest.raises(ValueError, match=r", not (float32|int8) \("):
            lay_out(PLAIN, tensors | {name: changed})
    with pytest.raises(KeyError, match=name) if name != "attention.distance_bias" else contextlib.nullcontext():
        lay_out(PLAIN, {each: array for each, array in tensors.items() if each != name})


def test_an_unneeded_projection_is_checked_as_well() -> None:
    tensors = random_tensors(PLAIN, **SHAPE)
    wrong = {"projection.weight": np.zeros((4096, 32), np.int8)}
    with pytest.raises((KeyError, ValueError), match="projection"):
        lay_out(PLAIN, tensors | wrong)


@pytest.mark.parametrize(
    "damage",
    [{"heads": 0}, {"layers": 0}, {"layers": 10**9}, {"layers": 3}, {"heads": 5}, {"pooling": "max"}, {"epsilon": "x"}],
)
def test_metadata_that_does_not_match_the_tensors_is_rejected(damage: dict[str, Any], tmp_path: Path) -> None:
    metadata = msgspec.to_builtins(PLAIN) | damage
    path = tmp_path / "model.safetensors"
    save_file(random_tensors(PLAIN, **SHAPE), path, {ARCHITECTURE: msgspec.json.encode(metadata).decode()})
    with pytest.raises(BundleError, match="export the model again"):
        open_native(path)


def test_a_library_built_from_other_sources_is_not_used(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("server.encoding.native.library.source_digest", lambda: 1)
    assert load_library.__wrapped__() is None
    assert "built from other sources: run rm -f" in caplog.text
    monkeypatch.setattr("server.encoding.native.library.LIBRARY", ctypes.util.find_library("m"))
    assert load_library.__wrapped__() is None
    monkeypatch.setattr("server.encoding.native.library.LIBRARY", LIBRARY.with_name("missing.so"))
    assert load_library.__wrapped__() is None
    assert "is not built, or damaged" in caplog.text


@pytest.mark.parametrize("missing", [set(), {"avx512_vnni"}, NEEDED_FLAGS])
def test_only_cpus_with_the_instructions_run_the_library(missing: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    flags = " ".join({"sse2", *NEEDED_FLAGS} - missing)
    monkeypatch.setattr("server.encoding.native.library.cpuinfo", {"flags": flags}.get)
    assert cpu_can_run() == (not missing)


@pytest.mark.parametrize(
    ("heads", "hidden", "inner", "fits"),
    [(4, 64, 96, True), (17, 544, 96, False), (4, 48, 96, False), (4, 64, 100, False), (32, 64, 96, False)],
)
def test_shapes_that_the_native_encoder_cannot_lay_out_run_in_onnx_runtime(
    heads: int, hidden: int, inner: int, fits: bool
) -> None:
    architecture = Architecture(heads=heads, layers=1, epsilon=1e-12, activation="gelu", pooling="cls", normalise=True)
    assert can_lay_out(architecture, random_tensors(architecture, hidden=hidden, inner=inner)) == fits
