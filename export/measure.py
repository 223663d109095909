"""Measures the graph to serve beside the fp32 one: size, closeness, speed."""

from __future__ import annotations

import statistics
import time

import numpy as np
from numpy.typing import NDArray

from export.cpu import cpu_name
from export.errors import ExportError
from export.graphs import Graphs
from server.encoding.encoder import open_encoder
from server.encoding.golden import cosines
from server.encoding.manifest import Report

REPEATS = 5

FAITHFUL_COSINE = 0.999
"""What a graph before quantization must reach: it is the same model."""


def measure(
    graphs: Graphs, *, token_ids: list[list[int]], reference: NDArray[np.float32]
) -> tuple[Report, NDArray[np.float32]]:
    """Compares the graph to serve with its fp32 twin over the same texts, one thread each.

    Args:
        graphs: Both graphs.
        token_ids: The texts.
        reference: The original model's vectors `[N, dimension]` of the same texts.

    Raises:
        ExportError: The fp32 twin is another model.

    Returns:
        The report, and the cosine `[N]` of each text's vector to its reference.
    """
    encoders = {
        "fp32": open_encoder(graphs.fp32, graphs.layout),
        "served": open_encoder(graphs.served, graphs.layout),
    }
    closeness = cosines(encoders["served"].encode(token_ids), reference)
    faithful = float(cosines(encoders["fp32"].encode(token_ids), reference).min())
    if not faithful >= FAITHFUL_COSINE:
        raise ExportError(
            f"the graph does not compute what the model does: in fp32, worst cosine {faithful:.4f} to the original"
        )
    rates: dict[str, list[float]] = {name: [] for name in encoders}
    for _ in range(REPEATS):  # Interleaved, so that a busy machine slows both.
        for name, encoder in encoders.items():
            started = time.perf_counter()
            encoder.encode(token_ids)
            rates[name].append(len(token_ids) / (time.perf_counter() - started))
    report = Report(
        cpu=cpu_name(),
        sentences=len(token_ids),
        fp32_bytes=graphs.fp32.stat().st_size,
        served_bytes=graphs.served.stat().st_size,
        cosine_mean=round(float(closeness.mean()), 5),
        cosine_min=round(float(closeness.min()), 5),
        fp32_texts_per_second=round(statistics.median(rates["fp32"]), 1),
        served_texts_per_second=round(statistics.median(rates["served"]), 1),
    )
    return report, closeness
