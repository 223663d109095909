"""Measures a quantized graph beside the fp32 one: size, closeness, speed."""

from __future__ import annotations

import statistics
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from export.cpu import cpu_name
from server.encoding.encoder import Encoder
from server.encoding.golden import cosines
from server.encoding.manifest import Report

REPEATS = 5


def measure(
    *, fp32: Path, int8: Path, token_ids: list[list[int]], reference: NDArray[np.float32]
) -> tuple[Report, NDArray[np.float32]]:
    """Compares two graphs over the same texts, one thread each.

    Args:
        fp32: The graph before quantization.
        int8: The graph after it.
        token_ids: The texts.
        reference: The original model's vectors `[N, dimension]` of the same texts.

    Returns:
        The report, and the cosine `[N]` of each text's INT8 vector to its reference.
    """
    encoders = {"fp32": Encoder(fp32), "int8": Encoder(int8)}
    closeness = cosines(encoders["int8"].encode(token_ids), reference)
    encoders["fp32"].encode(token_ids)  # Both are warm now.
    rates: dict[str, list[float]] = {name: [] for name in encoders}
    for _ in range(REPEATS):  # Interleaved, so that a busy machine slows both.
        for name, encoder in encoders.items():
            started = time.perf_counter()
            encoder.encode(token_ids)
            rates[name].append(len(token_ids) / (time.perf_counter() - started))
    report = Report(
        cpu=cpu_name(),
        sentences=len(token_ids),
        fp32_bytes=fp32.stat().st_size,
        int8_bytes=int8.stat().st_size,
        cosine_mean=round(float(closeness.mean()), 5),
        cosine_min=round(float(closeness.min()), 5),
        fp32_texts_per_second=round(statistics.median(rates["fp32"]), 1),
        int8_texts_per_second=round(statistics.median(rates["int8"]), 1),
    )
    return report, closeness
