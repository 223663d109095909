"""Matryoshka: bundles whose vectors are the first numbers of the model's."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Dense

from server.encoding.kind import TextKind
from server.encoding.native.library import cpu_can_run
from tests.export.command_line import TINY_CORPUS, assert_one_line, export, export_tiny
from tests.export.tiny_models import dpr_encoder, plain_bert, plain_roberta, sentence_transformer

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

TEXTS = ["a b c", "hello", "z " * 30, "q x"]


def truncated(directory: Path, truncate_dim: Any, *, similarity: str = "cosine") -> Path:
    """Makes a sentence-transformers model of 32 dimensions that states a `truncate_dim`."""
    sentence_transformer(directory, pooling="mean", similarity=similarity, prompts={})
    path = directory / "config_sentence_transformers.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"truncate_dim": truncate_dim}))
    return directory


def original(model: Path, **options: Any) -> NDArray[np.float32]:
    vectors: NDArray[np.float32] = SentenceTransformer(str(model), device="cpu").encode(TEXTS, batch_size=1, **options)
    return vectors


def encoded(made: Any) -> NDArray[np.float32]:
    vectors: NDArray[np.float32] = made.bundle.encode_texts([(text, TextKind.TEXT) for text in TEXTS])
    return vectors


def test_the_dimension_that_a_model_states_is_kept(tmp_path: Path) -> None:
    model = truncated(tmp_path / "model", 12)
    made = export_tiny(model, "--quantization", "none")
    assert made.manifest.dimension == 12
    assert "vectors               12 dimensions, cosine" in made.stdout
    assert "recall, whole vectors R@1 0." in made.stdout
    np.testing.assert_allclose(encoded(made), original(model, normalize_embeddings=True), atol=2e-6)
    assert export("evaluate", "--bundle", made.directory, "--eval", TINY_CORPUS).returncode == 0


@pytest.mark.parametrize(
    ("flags", "layout", "difference"),
    [
        (["--quantization", "none"], "packed", 2e-6),
        ([], "packed", 0.05),
        (["--quantization", "dynamic"], "padded", 0.1),
    ],
)
def test_a_flag_sets_the_dimension_in_every_layout(
    tmp_path: Path, flags: list[str], layout: str, difference: float
) -> None:
    model = truncated(tmp_path / "model", 12)
    made = export_tiny(model, "--dimensions", "7", *flags)
    assert (made.manifest.dimension, made.manifest.query.layout) == (7, layout)
    assert made.bundle.encoder_name == ("native" if not flags and cpu_can_run() else "onnxruntime")
    expected = original(model, truncate_dim=7, normalize_embeddings=True)
    np.testing.assert_allclose(encoded(made), expected, atol=difference)
    np.testing.assert_allclose(np.linalg.norm(encoded(made), axis=1), 1, atol=1e-6)
    assert made.report.quality.closeness.cosine_min > 0.97
    assert made.bundle.verify() > 0.97


def test_vectors_of_a_dot_product_keep_their_lengths(tmp_path: Path) -> None:
    model = truncated(tmp_path / "model", 12, similarity="dot")
    np.testing.assert_allclose(encoded(export_tiny(model, "--quantization", "none")), original(model), atol=2e-5)


def test_the_linear_layer_after_the_pooling_is_shortened(tmp_path: Path) -> None:
    plain = SentenceTransformer(str(plain_bert(tmp_path / "plain")), device="cpu")
    plain.append(Dense(32, 20, activation_function=None))
    plain.save(str(tmp_path / "model"), create_model_card=False)
    made = export_tiny(tmp_path / "model", "--quantization", "none", "--dimensions", "9")
    expected = original(tmp_path / "model", truncate_dim=9, normalize_embeddings=True)
    np.testing.assert_allclose(encoded(made), expected, atol=2e-6)


def test_shortened_vectors_can_be_centered(tmp_path: Path) -> None:
    made = export_tiny(plain_bert(tmp_path / "plain"), "--dimensions", "16", "--center", "on")
    assert made.report.quality.closeness.cosine_min > 0.9
    np.testing.assert_allclose(np.linalg.norm(encoded(made), axis=1), 1, atol=1e-6)


def test_all_numbers_are_kept_if_the_model_states_more_than_it_has(tmp_path: Path) -> None:
    made = export_tiny(truncated(tmp_path / "model", 500), "--quantization", "none")
    assert made.manifest.dimension == 32
    assert "recall, whole vectors" not in made.stdout


def test_a_dimension_that_the_model_lacks_is_refused(tmp_path: Path) -> None:
    model, out = plain_bert(tmp_path / "plain"), tmp_path / "bundle"
    run = export("--model", model, "--out", out, "--dimensions", "33")
    assert_one_line(run, "--dimensions 33: the vectors of plain have 32 dimensions")
    for wrong in ("0", "-3", "many"):
        run = export("--model", model, "--out", out, f"--dimensions={wrong}")
        assert_one_line(run, "--dimensions: expected a whole number, 1 or more", code=2)
    for stated in (0, -1, 2.5, "8", True):
        stating = truncated(tmp_path / f"model{stated}", stated)
        run = export("--model", stating, "--out", out)
        assert_one_line(run, f"has truncate_dim {stated!r}, which is not a whole number above 0")
        assert export_tiny(stating, "--dimensions", "8").manifest.dimension == 8


def test_two_towers_have_the_same_dimension(tmp_path: Path) -> None:
    query, document = dpr_encoder(tmp_path / "question"), dpr_encoder(tmp_path / "context", "context")
    made = export_tiny(query, "--document-model", document, "--dimensions", "8", "--quantization", "none")
    assert made.manifest.dimension == 8
    assert made.report.quality.closeness.cosine_min > 0.9999
    short, long = truncated(tmp_path / "short", 8), truncated(tmp_path / "long", 16)
    run = export("--model", short, "--document-model", long, "--out", tmp_path / "out")
    assert_one_line(run, "the two models do not belong together: dimensions 8 in short, 16 in long")
    made = export_tiny(short, "--document-model", long, "--dimensions", "16", "--quantization", "none")
    assert made.manifest.dimension == 16


def test_an_architecture_of_the_padded_layout_is_shortened(tmp_path: Path) -> None:
    model = plain_roberta(tmp_path / "plain", kind="convbert")
    made = export_tiny(model, "--dimensions", "8", "--quantization", "none")
    assert made.manifest.query.layout == "padded"
    expected = original(model, truncate_dim=8, normalize_embeddings=True)
    np.testing.assert_allclose(encoded(made), expected, atol=2e-5)
