"""The share of time in integer matrix products."""

import json
import tempfile
import time
from pathlib import Path

from benchmarks.contenders import Workload, batches, by_length, padded_inputs, single_thread_session
from server.encoding.native.library import load_library
from server.encoding.packed import PackedEncoder
from server.encoding.session import OUTPUT
from server.encoding.tensors import map_tensors, read_header

PRODUCTS = ("MatMulIntegerToFloat", "MatMulInteger", "DynamicQuantizeMatMul", "QLinearMatMul", "QGemm")

PEAK_REPEATS = 2_000_000
PRODUCTS_A_REPEAT = 512


def profiled_share(place: Path, workload: Workload, *, packed: bool) -> float:
    """Returns the share of kernel time in integer products, by ONNX Runtime's profile of one pass."""
    with tempfile.TemporaryDirectory() as directory:
        session = single_thread_session(place, profile=Path(directory) / "profile")
        if packed:
            encoder = PackedEncoder(place)
            encoder._session = session
            encoder.encode(workload.token_ids)
        else:
            for rows in batches(by_length(workload), 16):
                session.run([OUTPUT], padded_inputs([workload.token_ids[row] for row in rows]))
        events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    kernels = [event for event in events if event.get("cat") == "Node" and event["name"].endswith("_kernel_time")]
    products = [event for event in kernels if event["args"].get("op_name") in PRODUCTS]
    return float(sum(event["dur"] for event in products) / sum(event["dur"] for event in kernels))


def peak_products_per_second() -> float:
    """Returns this core's peak rate of 8-bit multiply-accumulates a second, by the native library."""
    library = load_library()
    assert library is not None
    rates = []
    for _ in range(5):
        started = time.perf_counter()
        library.chaja_multiply_only(PEAK_REPEATS)
        rates.append(PEAK_REPEATS * PRODUCTS_A_REPEAT / (time.perf_counter() - started))
    return max(rates)


def products_of(weights: Path, workload: Workload) -> int:
    """Returns the number of multiply-accumulates with constant weights for the texts."""
    tensors = map_tensors(weights, read_header(weights))
    sizes = [array.size for name, array in tensors.items() if name.endswith(".weight") and "words" not in name]
    return sum(sizes) * sum(map(len, workload.token_ids))
