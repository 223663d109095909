"""Makes small random models of every family that the packed layout supports, and their vectors by transformers."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from numpy.typing import NDArray

from export.packed.architectures import read_linear, read_weights
from export.packed.graph import packed_graph
from export.packed.native import native_architecture
from export.packed.storage import save_packed
from server.encoding.manifest import Pooling
from server.encoding.packed import PackedEncoder

LONGEST = 200
SMALL = {
    "vocab_size": 100,
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 128,
    "max_position_embeddings": LONGEST + 2,
}
MODERNBERT = {  # Global, local, local, global; the window is shorter than many texts.
    "num_hidden_layers": 4,
    "local_attention": 16,
    "reference_compile": False,
    **{f"{name}_token_id": number for number, name in enumerate(("pad", "bos", "eos", "cls", "sep"))},
}
CONFIGS: dict[str, dict[str, Any]] = {
    "bert": SMALL,
    "roberta": SMALL | {"pad_token_id": 1},
    "xlm-roberta": SMALL | {"pad_token_id": 1},
    "camembert": SMALL | {"pad_token_id": 1},
    "electra": SMALL | {"embedding_size": 32},
    "distilbert": SMALL | {"hidden_dim": 128},
    "albert": SMALL | {"embedding_size": 32},
    "mpnet": SMALL | {"pad_token_id": 1},
    "modernbert": SMALL | MODERNBERT,
}
FAMILIES = list(CONFIGS)


def random_texts(lengths: list[int]) -> list[list[int]]:
    random = np.random.default_rng(0)
    return [random.integers(5, 100, length).tolist() for length in lengths]


TEXTS = random_texts([1, 3, 7, 8, 9, 16, 17, 30, 41, 48, 130, LONGEST])


def random_model(kind: str, **changes: Any) -> Any:
    torch.manual_seed(3)
    model = transformers.AutoModel.from_config(
        transformers.AutoConfig.for_model(kind, **(CONFIGS.get(kind, SMALL) | changes))
    )
    for parameter in model.parameters():  # New models have zero biases and unit gains, which would hide errors.
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
    """Builds a model's packed graph at `path`, with all that the native encoder needs, and opens it in ONNX Runtime."""
    weights = read_weights(model)
    graph = packed_graph(
        weights,
        pooling=pooling,
        dense=None if dense is None else read_linear(dense),
        normalise=normalise,
        quantize=lambda name: quantize,
    )
    architecture = native_architecture(weights, pooling=pooling, normalise=normalise) if quantize else None
    save_packed(graph, path, architecture)
    return PackedEncoder(path)
