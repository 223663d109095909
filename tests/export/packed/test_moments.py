from pathlib import Path

import numpy as np
import pytest
import torch

from export.packed.moments import measure_moments
from tests.export.packed.random_models import TEXTS, packed, random_model

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

PRODUCTS = {"qkv", "attention_output", "intermediate", "output"}


def test_moments_are_those_of_the_rows_that_transformers_multiplies(tmp_path: Path) -> None:
    model = random_model("bert")
    packed(model, tmp_path / "model.onnx")
    moments = measure_moments(tmp_path / "model.onnx", [[], *TEXTS])
    assert set(moments) == {f"layers.{layer}.{product}" for layer in (0, 1) for product in PRODUCTS}
    for layer in (0, 1):
        rows = []
        for text in TEXTS:
            with torch.no_grad():
                states = model(torch.tensor([text]), output_hidden_states=True).hidden_states
            rows.append(states[layer][0].numpy())
        expected = np.concatenate(rows).T @ np.concatenate(rows)
        np.testing.assert_allclose(moments[f"layers.{layer}.qkv"], expected, rtol=1e-3, atol=1e-3 * expected.max())
    assert moments["layers.1.output"].shape == (128, 128)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["model.onnx", "model.safetensors"]


def test_products_of_one_operand_share_their_moments(tmp_path: Path) -> None:
    packed(random_model("modernbert"), tmp_path / "model.onnx")
    moments = measure_moments(tmp_path / "model.onnx", TEXTS)
    assert moments["layers.0.query_key"] is moments["layers.0.value"]
    assert moments["layers.3.intermediate"] is moments["layers.3.gate"]


def test_repeated_layers_and_empty_texts_have_no_moments(tmp_path: Path) -> None:
    packed(random_model("albert"), tmp_path / "model.onnx")
    assert set(measure_moments(tmp_path / "model.onnx", TEXTS)) == {"projection"}
    assert measure_moments(tmp_path / "model.onnx", [[], []]) == {}
