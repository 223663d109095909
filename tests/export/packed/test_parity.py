from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from export.packed.architectures import UnknownArchitecture, read_weights
from server.encoding.golden import cosines
from server.encoding.manifest import Pooling
from server.encoding.native.encoder import open_native
from server.encoding.native.library import cpu_can_run
from server.encoding.packed import PackedEncoder
from tests.export.packed.random_models import FAMILIES, TEXTS, packed, random_model, random_texts, reference

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        *((kind, {}) for kind in FAMILIES),
        ("bert", {"hidden_act": "gelu_new"}),
        ("mpnet", {"hidden_act": "gelu_pytorch_tanh"}),
        ("albert", {"hidden_act": "gelu"}),
        ("albert", {"num_hidden_layers": 4, "num_hidden_groups": 2, "inner_group_num": 2}),
        ("albert", {"num_hidden_layers": 3, "num_hidden_groups": 2}),
        ("modernbert", {"attention_bias": True, "mlp_bias": True, "norm_bias": True}),
        ("modernbert", {"hidden_activation": "gelu_pytorch_tanh", "local_attention": 128}),
        ("modernbert", {"rope_scaling": {"rope_type": "linear", "factor": 4.0}}),
    ],
)
def test_the_packed_graph_computes_the_same_as_transformers(kind: str, changes: dict[str, Any], tmp_path: Path) -> None:
    model = random_model(kind, **changes)
    expected = reference(model, "mean")
    np.testing.assert_allclose(packed(model, tmp_path / "fp32.onnx").encode(TEXTS), expected, atol=2e-5)
    closeness = cosines(packed(model, tmp_path / "int8.onnx", quantize=True).encode(TEXTS), expected)
    assert closeness.min() > 0.995


@pytest.mark.skipif(not cpu_can_run(), reason="the CPU has no AVX-512 with VNNI")
@pytest.mark.parametrize(
    ("kind", "changes", "pooling"),
    [
        *((kind, {}, "mean") for kind in FAMILIES if kind not in ("albert", "modernbert")),
        ("bert", {"hidden_act": "gelu_new"}, "cls"),
        ("mpnet", {"hidden_act": "gelu_pytorch_tanh", "num_attention_heads": 2}, "lasttoken"),
        ("bert", {"num_attention_heads": 1}, "mean"),
        ("bert", {"num_attention_heads": 16}, "mean"),
        ("bert", {"num_attention_heads": 12, "hidden_size": 96, "intermediate_size": 384}, "mean"),
    ],
)
@pytest.mark.parametrize("normalise", [False, True])
def test_the_native_encoder_computes_the_same(
    kind: str, changes: dict[str, Any], pooling: Pooling, normalise: bool, tmp_path: Path
) -> None:
    model = random_model(kind, **changes)
    packed(model, tmp_path / "model.onnx", pooling=pooling, normalise=normalise, quantize=True)
    encoder = open_native(tmp_path / "model.safetensors")
    assert encoder is not None
    found, expected = encoder.encode(TEXTS), reference(model, pooling)
    assert cosines(found, expected).min() > 0.999
    lengths = np.ones(len(TEXTS)) if normalise else np.linalg.norm(expected, axis=1)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), lengths, rtol=1e-6 if normalise else 0.02)


@pytest.mark.parametrize("kind", ["albert", "modernbert"])
def test_families_unknown_to_the_native_encoder_run_in_onnx_runtime(kind: str, tmp_path: Path) -> None:
    packed(random_model(kind), tmp_path / "model.onnx", quantize=True)
    assert open_native(tmp_path / "model.safetensors") is None


@pytest.mark.parametrize("kind", ["bert", "albert", "modernbert"])
@pytest.mark.parametrize("pooling", ["mean", "cls", "lasttoken"])
def test_every_pooling_is_inside_the_graph(kind: str, pooling: Pooling, tmp_path: Path) -> None:
    model = random_model(kind)
    vectors = packed(model, tmp_path / "model.onnx", pooling=pooling, normalise=True).encode(TEXTS)
    expected = reference(model, pooling)
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(vectors, expected, atol=2e-5)


@pytest.mark.parametrize("bias", [False, True])
def test_a_linear_layer_after_the_pooling_is_inside_the_graph(bias: bool, tmp_path: Path) -> None:
    model = random_model("bert")
    layer = torch.nn.Linear(64, 24, bias=bias)
    vectors = packed(model, tmp_path / "model.onnx", pooling="cls", dense=layer).encode(TEXTS)
    with torch.no_grad():
        expected = layer(torch.tensor(reference(model, "cls"))).numpy()
    np.testing.assert_allclose(vectors, expected, atol=2e-5)


@pytest.mark.parametrize("kind", FAMILIES)
@pytest.mark.parametrize("quantize", [False, True])
def test_a_vector_does_not_depend_on_the_other_texts_of_its_batch(kind: str, quantize: bool, tmp_path: Path) -> None:
    dense = torch.nn.Linear(64, 24) if kind == "bert" else None
    encoder = packed(random_model(kind), tmp_path / "model.onnx", dense=dense, normalise=True, quantize=quantize)
    random = np.random.default_rng(0)
    texts = random_texts([*random.integers(1, 64, 60).tolist(), 65, 80, 110])
    alone = np.concatenate([encoder.encode([text]) for text in texts])
    for _ in range(5):
        order = random.permutation(len(texts))
        together = np.empty_like(alone)
        together[order] = encoder.encode([texts[position] for position in order])
        assert together.tobytes() == alone.tobytes()


def test_shared_weights_are_stored_once(tmp_path: Path) -> None:
    sizes = []
    for layers in (2, 12):
        path = tmp_path / f"{layers}.onnx"
        packed(random_model("albert", num_hidden_layers=layers), path, quantize=True)
        sizes.append(path.stat().st_size)
    assert abs(sizes[0] - sizes[1]) < 100  # The names are one digit longer.


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        ("convbert", {"embedding_size": 64}, "does not support convbert"),
        ("bert", {"is_decoder": True}, "does not support decoders"),
        ("bert", {"hidden_act": "relu"}, "does not support the activation relu"),
        ("albert", {"hidden_act": "silu"}, "does not support the activation silu"),
        ("modernbert", {"hidden_activation": "silu"}, "does not support the activation silu"),
        ("modernbert", {"rope_scaling": {"rope_type": "dynamic", "factor": 4.0}}, "does not support dynamic rotary"),
        ("bert", {"position_embedding_type": "relative_key"}, "does not support relative_key positions"),
    ],
)
def test_an_unknown_architecture_is_refused(kind: str, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UnknownArchitecture, match=message):
        read_weights(random_model(kind, **changes))


@pytest.mark.parametrize("kind", ["bert", "albert", "modernbert"])
def test_the_kernels_for_saturating_cpus_give_the_same_vectors(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = random_model(kind)
    expected = packed(model, tmp_path / "model.onnx", quantize=True).encode(TEXTS)
    monkeypatch.setattr("server.encoding.session.products_saturate", lambda: True)
    assert PackedEncoder(tmp_path / "model.onnx").encode(TEXTS).tobytes() == expected.tobytes()


@pytest.mark.parametrize("kind", ["bert", "albert"])
def test_no_product_keeps_a_saturating_kernel(kind: str, tmp_path: Path) -> None:
    packed(random_model(kind), tmp_path / "model.onnx", quantize=True)
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.x64quantprecision", "1")
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    options.log_severity_level = 4
    onnxruntime.InferenceSession(str(tmp_path / "model.onnx"), options, providers=["CPUExecutionProvider"])
    weights = product_weights(onnx.load(tmp_path / "optimized.onnx").graph)
    assert len(weights) > 4
    assert set(weights) == {onnx.TensorProto.UINT8}


def product_weights(graph: onnx.GraphProto) -> list[int | None]:
    """Returns the types of the constant operands of products, including those in loops."""
    types = {constant.name: constant.data_type for constant in graph.initializer}
    found = [types.get(node.input[1]) for node in graph.node if node.op_type == "MatMulIntegerToFloat"]
    bodies = [attribute.g for node in graph.node for attribute in node.attribute if attribute.HasField("g")]
    return found + [each for body in bodies for each in product_weights(body)]
