"""Measures the inputs of the products of a packed graph on texts."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

from export.packed.weights import Array
from server.cpus import usable_cpus
from server.encoding.packed import INPUTS, packed_inputs, runs
from server.encoding.session import open_session

WEIGHT = ".weight"

RUN_TOKENS = 1024
"""Maximum tokens in a run; a longer text has a separate run. A run keeps the inputs of all products in memory."""

MOMENTS_BYTES = 1 << 30
"""Memory for the moments of concurrent runs, in addition to their sums."""


def measure_moments(fp32: Path, token_ids: Sequence[Sequence[int]]) -> dict[str, Array]:
    """Returns `rows.T @ rows` `[inputs, inputs]` of each product's input rows, by the product's name.

    It skips products inside a loop, because their inputs cannot be outputs of the graph.

    Args:
        fp32: The graph before quantization. A temporary file is written next to it.
        token_ids: The texts. Texts without tokens are skipped.
    """
    texts = [ids for ids in token_ids if ids]
    if not texts:
        return {}
    model = onnx.load(fp32, load_external_data=False)
    rows_of = {
        node.input[1].removesuffix(WEIGHT): node.input[0]
        for node in model.graph.node
        if node.op_type == "MatMul" and node.input[1].endswith(WEIGHT)
    }
    seen = sorted(set(rows_of.values()))
    model.graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in seen)
    observed = fp32.with_name("observed.onnx")
    observed.write_bytes(model.SerializeToString())
    try:
        session, _ = open_session(observed, INPUTS)

        def moments_of(run: Sequence[int]) -> list[Array]:
            return [rows.T @ rows for rows in session.run(seen, packed_inputs([texts[at] for at in run]))]

        sums: dict[str, Array] = {}
        pending = iter(runs([len(ids) for ids in texts], run_tokens=RUN_TOKENS))
        with ThreadPoolExecutor(usable_cpus()) as pool:
            at_a_time = 1  # The first run shows how much memory a run takes.
            while batch := list(itertools.islice(pending, at_a_time)):
                for moments in pool.map(moments_of, batch):  # In order, so that the sums are bit-identical each time.
                    for name, moment in zip(seen, moments, strict=True):
                        sums[name] = sums.get(name, np.float32(0)) + moment
                at_a_time = max(1, min(usable_cpus(), MOMENTS_BYTES // sum(each.nbytes for each in sums.values())))
    finally:
        observed.unlink()
    return {product: sums[rows] for product, rows in rows_of.items() if rows in sums}
