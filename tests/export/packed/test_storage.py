from pathlib import Path

import numpy as np
import onnx
import pytest
from safetensors.numpy import load_file

from export.packed.architectures import read_weights
from export.packed.graph import packed_graph
from export.packed.storage import save_packed
from server.encoding.packed import PackedEncoder
from tests.export.packed.random_models import TEXTS, random_model, reference

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@pytest.mark.parametrize("kind", ["bert", "modernbert"])
def test_a_graph_holds_none_of_the_weights_so_that_they_may_exceed_2_gb(kind: str, tmp_path: Path) -> None:
    model = random_model(kind, vocab_size=5000)
    graph = packed_graph(read_weights(model), pooling="mean", normalise=False, quantize=lambda name: False)
    assert sum(weight.nbytes for weight in graph.weights.values()) > 1_280_000
    assert len(graph.model.SerializeToString()) < 120_000
    save_packed(graph, tmp_path / "model.onnx", None)
    assert (tmp_path / "model.onnx").stat().st_size < 120_000
    onnx.checker.check_model(tmp_path / "model.onnx")
    found = load_file(tmp_path / "model.safetensors")
    assert found.keys() == graph.weights.keys()
    assert all(found[name].tobytes() == weight.tobytes() for name, weight in graph.weights.items())
    np.testing.assert_allclose(
        PackedEncoder(tmp_path / "model.onnx").encode(TEXTS), reference(model, "mean"), atol=2e-5
    )
