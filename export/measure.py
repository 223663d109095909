"""Measures the graphs to serve beside the fp32 ones: size, closeness, speed."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from export.cpu import cpu_name
from export.errors import ExportError
from export.graphs import Graphs
from server.encoding.encoder import Encoder, open_encoder
from server.encoding.golden import cosines
from server.encoding.manifest import Report

REPEATS = 5

FAITHFUL_COSINE = 0.999
"""What a graph before quantization must reach: it is the same model."""


def measure(
    towers: Sequence[tuple[Graphs, list[list[int]]]], *, reference: NDArray[np.float32]
) -> tuple[Report, NDArray[np.float32]]:
    """Compares the graphs to serve with their fp32 twins over the same texts, one thread each.

    Args:
        towers: For each tower both graphs, and the texts that it encodes.
        reference: The original model's vectors `[N, dimension]` of the texts of all towers.

    Raises:
        ExportError: The fp32 twin is another model.

    Returns:
        The report, and the cosine `[N]` of each text's vector to its reference.
    """
    encoders = {
        "fp32": [(open_encoder(graphs.fp32, graphs.layout), texts) for graphs, texts in towers],
        "served": [(open_encoder(graphs.served, graphs.layout), texts) for graphs, texts in towers],
    }
    closeness = cosines(_encode(encoders["served"]), reference)
    faithful = float(cosines(_encode(encoders["fp32"]), reference).min())
    if not faithful >= FAITHFUL_COSINE:
        raise ExportError(
            f"the graph does not compute what the model does: in fp32, worst cosine {faithful:.4f} to the original"
        )
    rates: dict[str, list[float]] = {name: [] for name in encoders}
    for _ in range(REPEATS):  # Interleaved, so that a busy machine slows both.
        for name, encoders_of_towers in encoders.items():
            started = time.perf_counter()
            _encode(encoders_of_towers)
            rates[name].append(len(reference) / (time.perf_counter() - started))
    report = Report(
        cpu=cpu_name(),
        sentences=len(reference),
        fp32_bytes=sum(graphs.fp32.stat().st_size for graphs, _ in towers),
        served_bytes=sum(graphs.served.stat().st_size for graphs, _ in towers),
        cosine_mean=round(float(closeness.mean()), 5),
        cosine_min=round(float(closeness.min()), 5),
        fp32_texts_per_second=round(statistics.median(rates["fp32"]), 1),
        served_texts_per_second=round(statistics.median(rates["served"]), 1),
    )
    return report, closeness


def _encode(towers: Sequence[tuple[Encoder, list[list[int]]]]) -> NDArray[np.float32]:
    return np.concatenate([encoder.encode(texts) for encoder, texts in towers])
