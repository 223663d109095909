from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
import transformers
from numpy.typing import NDArray

from export.packed.architectures import UnknownArchitecture, read_linear, read_weights
from export.packed.graph import packed_graph
from server.encoding.golden import cosines
from server.encoding.manifest import Pooling
from server.encoding.packed import PackedEncoder

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

HIDDEN = 64
SMALL = {
    "vocab_size": 100,
    "hidden_size": HIDDEN,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 128,
    "max_position_embeddings": 50,
}
CONFIGS: dict[str, dict[str, Any]] = {
    "bert": SMALL,
    "roberta": SMALL | {"pad_token_id": 1},
    "xlm-roberta": SMALL | {"pad_token_id": 1},
    "camembert": SMALL | {"pad_token_id": 1},
    "electra": SMALL | {"embedding_size": 32},
    "distilbert": {
        "vocab_size": 100,
        "dim": HIDDEN,
        "n_layers": 2,
        "n_heads": 4,
        "hidden_dim": 128,
        "max_position_embeddings": 50,
    },
}
TEXTS = [list(range(5, 5 + length)) for length in (1, 3, 7, 8, 9, 16, 17, 30, 41, 48)]


def random_model(kind: str, **changes: Any) -> Any:
    torch.manual_seed(3)
    model = transformers.AutoModel.from_config(
        transformers.AutoConfig.for_model(kind, **(CONFIGS.get(kind, SMALL) | changes))
    )
    for parameter in model.parameters():  # Fresh models have no bias and no gain: those must be right, too.
        parameter.data += 0.1 * torch.randn_like(parameter)
    return model.eval()


def reference(model: Any, pooling: Pooling) -> NDArray[np.float32]:
    rows = []
    for text in TEXTS:
        with torch.no_grad():
            hidden = model(torch.tensor([text])).last_hidden_state[0]
        rows.append({"mean": hidden.mean(0), "cls": hidden[0], "lasttoken": hidden[-1]}[pooling].numpy())
    return np.stack(rows)


def packed(
    model: Any,
    path: Path,
    *,
    pooling: Pooling = "mean",
    dense: torch.nn.Linear | None = None,
    normalise: bool = False,
    quantize: bool = False,
) -> PackedEncoder:
    graph = packed_graph(
        read_weights(model),
        pooling=pooling,
        dense=None if dense is None else read_linear(dense),
        normalise=normalise,
        quantize=quantize,
    )
    onnx.save(graph, str(path))
    return PackedEncoder(path)


@pytest.mark.parametrize("kind", CONFIGS)
def test_the_packed_graph_computes_what_transformers_does(kind: str, tmp_path: Path) -> None:
    model = random_model(kind)
    expected = reference(model, "mean")
    np.testing.assert_allclose(packed(model, tmp_path / "fp32.onnx").encode(TEXTS), expected, atol=2e-5)
    closeness = cosines(packed(model, tmp_path / "int8.onnx", quantize=True).encode(TEXTS), expected)
    assert closeness.min() > 0.995


@pytest.mark.parametrize("pooling", ["mean", "cls", "lasttoken"])
def test_every_pooling_is_inside_the_graph(pooling: Pooling, tmp_path: Path) -> None:
    model = random_model("bert")
    vectors = packed(model, tmp_path / "model.onnx", pooling=pooling, normalise=True).encode(TEXTS)
    expected = reference(model, pooling)
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(vectors, expected, atol=2e-5)


@pytest.mark.parametrize("bias", [False, True])
def test_a_linear_layer_behind_the_pooling_is_inside_the_graph(bias: bool, tmp_path: Path) -> None:
    model = random_model("bert")
    layer = torch.nn.Linear(HIDDEN, 24, bias=bias)
    vectors = packed(model, tmp_path / "model.onnx", pooling="cls", dense=layer).encode(TEXTS)
    with torch.no_grad():
        expected = layer(torch.tensor(reference(model, "cls"))).numpy()
    np.testing.assert_allclose(vectors, expected, atol=2e-5)


@pytest.mark.parametrize("dense", [None, torch.nn.Linear(HIDDEN, 24)])
@pytest.mark.parametrize("quantize", [False, True])
def test_a_vector_is_the_same_to_the_last_bit_in_any_company(
    quantize: bool, dense: torch.nn.Linear | None, tmp_path: Path
) -> None:
    encoder = packed(random_model("bert"), tmp_path / "model.onnx", dense=dense, normalise=True, quantize=quantize)
    random = np.random.default_rng(0)
    texts = [random.integers(5, 99, random.integers(1, 48)).tolist() for _ in range(60)]
    alone = np.concatenate([encoder.encode([text]) for text in texts])
    for _ in range(5):
        order = random.permutation(len(texts))
        together = np.empty_like(alone)
        together[order] = encoder.encode([texts[position] for position in order])
        assert together.tobytes() == alone.tobytes()


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        ("mpnet", {}, "does not know mpnet"),
        ("bert", {"is_decoder": True}, "does not know decoders"),
        ("bert", {"hidden_act": "relu"}, "does not know the activation relu"),
        ("bert", {"position_embedding_type": "relative_key"}, "does not know relative_key positions"),
    ],
)
def test_what_it_does_not_know_it_does_not_pretend_to(kind: str, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UnknownArchitecture, match=message):
        read_weights(random_model(kind, **changes))


def test_cpus_whose_products_saturate_get_the_same_vectors_by_other_kernels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = random_model("bert")
    expected = packed(model, tmp_path / "model.onnx", quantize=True).encode(TEXTS)
    monkeypatch.setattr("server.encoding.session.products_saturate", lambda: True)
    assert PackedEncoder(tmp_path / "model.onnx").encode(TEXTS).tobytes() == expected.tobytes()
