from pathlib import Path

import numpy as np
import onnx
import pytest

from export.padded.dynamic import quantize_dynamic
from export.padded.graph import export_graph
from export.padded.products import product_names
from export.padded.static import quantize_static
from export.source import SourceModel
from server.encoding.encoder import PaddedEncoder
from tests.export.tiny_models import plain_bert

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

TEXTS = [list(range(2, 2 + length)) for length in (3, 7, 12, 20)]


@pytest.fixture(scope="module")
def fp32(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("padded")
    return export_graph(SourceModel(str(plain_bert(directory / "plain"))), directory / "fp32")


def quantize(how: str, fp32: Path, out: Path, exclude: list[str]) -> Path:
    if how == "dynamic":
        quantize_dynamic(fp32, out, preset="avx512_vnni", exclude=exclude)
    else:
        ranges = out.with_name("ranges.json")
        quantize_static(fp32, out, preset="avx512_vnni", token_ids=TEXTS, ranges=ranges, exclude=exclude)
    return out


@pytest.mark.parametrize("how", ["dynamic", "static"])
def test_a_graph_with_every_product_excluded_is_unchanged(how: str, fp32: Path, tmp_path: Path) -> None:
    names = product_names(fp32)
    assert len(names) > 12
    same = PaddedEncoder(quantize(how, fp32, tmp_path / "same.onnx", names)).encode(TEXTS)
    np.testing.assert_allclose(same, PaddedEncoder(fp32).encode(TEXTS), atol=1e-6)
    int8 = PaddedEncoder(quantize(how, fp32, tmp_path / "int8.onnx", [])).encode(TEXTS)
    assert np.abs(int8 - same).max() > 1e-4


@pytest.mark.parametrize("how", ["dynamic", "static"])
def test_an_excluded_product_reads_floats_and_multiplies_floats(how: str, fp32: Path, tmp_path: Path) -> None:
    (name,) = (name for name in product_names(fp32) if name.endswith("layer.0/attention/self/query/MatMul"))
    before = onnx.load(str(fp32)).graph
    after = onnx.load(str(quantize(how, fp32, tmp_path / "int8.onnx", [name]))).graph
    (expected,), (found,) = ([node for node in graph.node if node.name == name] for graph in (before, after))
    assert list(found.input) == list(expected.input)
    assert found.op_type == "MatMul"
