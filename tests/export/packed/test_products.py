from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

from export.packed.builder import GraphBuilder
from export.packed.products import Operand, Products
from export.packed.rounding import Rounding
from export.packed.storage import save_packed
from server.encoding.session import OUTPUT, open_session

pytestmark = pytest.mark.slow

RANDOM = np.random.default_rng(1)
ROWS = {
    "both signs": RANDOM.standard_normal(64),
    "an outlier": np.append(RANDOM.standard_normal(63), 40.0),
    "equal": np.full(64, 3.0),
    "zeros": np.zeros(64),
    "positive": RANDOM.uniform(5, 6, 64),
    "negative": RANDOM.uniform(-6, -5, 64),
    "tiny": RANDOM.standard_normal(64) * 1e-6,
}


def multiply(rows: NDArray[np.float32], weight: NDArray[np.float32], path: Path) -> NDArray[np.float32]:
    """Multiplies in a session like the server's: if the CPU's fast products saturate, it uses others."""
    graph = GraphBuilder()
    products = Products(graph, quantize=lambda name: True, rounding=Rounding())
    graph.node("Identity", products.product(Operand("rows"), weight, "a.b"), output=OUTPUT)
    model = graph.model(
        [helper.make_tensor_value_info("rows", TensorProto.FLOAT, ["T", rows.shape[1]])],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["T", weight.shape[1]])],
    )
    save_packed(model, path, None)
    onnx.checker.check_model(path)
    session, _ = open_session(path, {"rows"})
    result: NDArray[np.float32] = session.run([OUTPUT], {"rows": rows})[0]
    return result


@pytest.mark.parametrize("name", ROWS)
def test_a_row_of_any_range_is_multiplied(name: str, tmp_path: Path) -> None:
    rows = ROWS[name].astype(np.float32)[None]
    weight = RANDOM.standard_normal((64, 48)).astype(np.float32)
    error = np.linalg.norm(multiply(rows, weight, tmp_path / "model.onnx") - rows @ weight)
    assert error <= 0.05 * np.linalg.norm(rows @ weight)
