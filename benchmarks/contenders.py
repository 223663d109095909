"""The contenders: every form of the model, each in the settings that may suit it best."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from server.encoding.encoder import Encoder
from server.encoding.native.encoder import RUN_TOKENS, open_native
from server.encoding.packed import RUN_TOKENS as PACKED_RUN_TOKENS
from server.encoding.packed import PackedEncoder
from server.encoding.session import OUTPUT

TORCH = "sentence-transformers, torch fp32"
FP32 = "ONNX fp32, padded"
STOCK = "optimum dynamic INT8, padded"
PACKED = "Chaja packed INT8, ONNX Runtime"
NATIVE = "Chaja packed INT8, native"

Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class Workload:
    """The texts, in the order of their arrival, and their tokens."""

    texts: list[str]
    token_ids: list[list[int]]


@dataclass(frozen=True)
class Setting:
    """One way to run a contender; `encode` returns the vectors in the order of arrival."""

    label: str
    encode: Callable[[], Vectors]


Open = Callable[[Path, Workload], list[Setting]]
"""Opens a contender and returns its settings."""


def torch_settings(place: Path, workload: Workload) -> list[Setting]:
    """Returns the settings of `SentenceTransformer.encode`, whose time includes tokenizing, unlike the others'."""
    import torch
    from sentence_transformers import SentenceTransformer

    torch.set_num_threads(1)
    model: Any = SentenceTransformer(str(place), device="cpu")

    def encode(batch: int) -> Vectors:
        vectors = model.encode(workload.texts, batch_size=batch, show_progress_bar=False, normalize_embeddings=True)
        return np.asarray(vectors, dtype=np.float32)

    return [Setting(f"{batch} a batch", partial(encode, batch)) for batch in (8, 32)]


def padded_settings(place: Path, workload: Workload, *, sizes: Sequence[int]) -> list[Setting]:
    """Returns the settings of a graph of optimum: several sizes and orders of batches."""
    session = single_thread_session(place)
    orders = {"in order of arrival": list(range(len(workload.texts))), "sorted by length": by_length(workload)}

    def encode(order: Sequence[int], size: int) -> Vectors:
        inputs = (padded_inputs([workload.token_ids[row] for row in rows]) for rows in batches(order, size))
        vectors = np.concatenate([session.run([OUTPUT], each)[0] for each in inputs])
        return np.asarray(vectors[np.argsort(order)])

    return [
        Setting(f"{size} a batch, {name}", partial(encode, order, size))
        for size in sizes
        for name, order in orders.items()
    ]


def packed_settings(place: Path, workload: Workload) -> list[Setting]:
    """Returns the settings of our graph in ONNX Runtime."""
    budgets = sorted({64, PACKED_RUN_TOKENS, 256})
    return _our_settings(lambda budget: PackedEncoder(place, run_tokens=budget), workload, budgets, PACKED_RUN_TOKENS)


def native_settings(place: Path, workload: Workload) -> list[Setting]:
    """Returns the settings of our weights in the native encoder; none if it cannot run here."""

    def open_with(budget: int) -> Encoder | None:
        return open_native(place.with_suffix(".safetensors"), run_tokens=budget)

    if open_with(RUN_TOKENS) is None:
        return []
    return _our_settings(open_with, workload, sorted({84, RUN_TOKENS, 336}), RUN_TOKENS)  # type: ignore[arg-type]


CONTENDERS: dict[str, Open] = {
    TORCH: torch_settings,
    FP32: partial(padded_settings, sizes=(1, 16)),
    STOCK: partial(padded_settings, sizes=(1, 8, 16, 32)),
    PACKED: packed_settings,
    NATIVE: native_settings,
}


def padded_inputs(token_ids: Sequence[Sequence[int]]) -> dict[str, NDArray[np.int64]]:
    """Returns the inputs of a padded batch."""
    width = max(map(len, token_ids))
    input_ids = np.zeros((len(token_ids), width), dtype=np.int64)
    attention_mask = np.zeros_like(input_ids)
    for row, ids in enumerate(token_ids):
        input_ids[row, : len(ids)] = ids
        attention_mask[row, : len(ids)] = 1
    return {"input_ids": input_ids, "attention_mask": attention_mask}


def single_thread_session(place: Path) -> onnxruntime.InferenceSession:
    """Opens a graph with one thread and otherwise ONNX Runtime's default settings."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(place), options, providers=["CPUExecutionProvider"])


def batches(order: Sequence[int], size: int) -> Iterator[list[int]]:
    """Yields the positions of an order in batches."""
    for start in range(0, len(order), size):
        yield list(order[start : start + size])


def by_length(workload: Workload) -> list[int]:
    """Returns the positions of the texts, shortest first."""
    return sorted(range(len(workload.texts)), key=lambda row: len(workload.token_ids[row]))


def _our_settings(
    open_with: Callable[[int], Encoder], workload: Workload, budgets: Sequence[int], default: int
) -> list[Setting]:
    encoder = open_with(default)

    def encode(size: int) -> Vectors:
        rows = batches(range(len(workload.texts)), size)
        return np.concatenate([encoder.encode([workload.token_ids[row] for row in batch]) for batch in rows])

    settings = [
        Setting(f"{budget} tokens a run", partial(open_with(budget).encode, workload.token_ids)) for budget in budgets
    ]
    labels = {1: "one text at a time", 16: "16 texts at a time, in order of arrival"}
    return settings + [Setting(label, partial(encode, size)) for size, label in labels.items()]
