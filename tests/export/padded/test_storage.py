"""Graphs with their constants in a second file, as those of models above 2 GB have, on a small model."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from export.padded import storage
from export.padded.storage import save_graph
from export.source import SourceModel
from server.encoding.golden import cosines
from server.encoding.kind import TextKind
from tests.export.command_line import export_tiny
from tests.export.test_trimmed_bundle import many_scripts
from tests.export.tiny_models import plain_roberta

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

TEXTS = [("a b c", TextKind.QUERY), ("e o a b c d", TextKind.TEXT)]


@pytest.fixture
def small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Splits graphs of more than 2 KB. torch splits graphs of more than 2 GiB unless optimum's variable forces it."""
    monkeypatch.setenv("FORCE_ONNX_EXTERNAL_DATA", "1")
    monkeypatch.setattr(storage, "LARGEST_FILE_BYTES", 2000)


@pytest.mark.usefixtures("small_files")
@pytest.mark.parametrize(("quantization", "cosine"), [("none", 0.99999), ("dynamic", 0.98), ("static", 0.9)])
def test_a_graph_with_a_data_file_is_served(tmp_path: Path, quantization: str, cosine: float) -> None:
    model = plain_roberta(tmp_path / "plain", kind="convbert")
    made = export_tiny(model, "--quantization", quantization)
    assert made.manifest.query.layout == "padded"
    assert "query/model.onnx_data" in made.manifest.files
    assert (made.directory / "query/model.onnx").stat().st_size < made.report.served_bytes
    assert cosines(made.bundle.encode_texts(TEXTS), SourceModel(str(model)).encode(TEXTS)).min() > cosine
    assert {path.name for path in (made.directory / "query").iterdir()} == {
        *("model.onnx", "model.onnx_data", "tokenizer.json")
    }


@pytest.mark.usefixtures("small_files")
@pytest.mark.parametrize("quantization", ["none", "dynamic"])
def test_the_table_of_a_graph_with_a_data_file_is_trimmed(tmp_path: Path, quantization: str) -> None:
    model = many_scripts(tmp_path / "model", kind="convbert")
    made = export_tiny(model, "--quantization", quantization, "--languages", "ko,en")
    assert "query/model.onnx_data" in made.manifest.files
    assert cosines(made.bundle.encode_texts(TEXTS), SourceModel(str(model)).encode(TEXTS)).min() > 0.98


def test_a_small_graph_replaces_a_large_one_and_its_data_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model.onnx"
    monkeypatch.setattr(storage, "LARGEST_FILE_BYTES", 5000)
    for count, files in ((2000, {"model.onnx", "model.onnx_data"}), (1000, {"model.onnx"})):
        values = np.arange(count, dtype=np.float32)
        save_graph(helper.make_model(helper.make_graph([], "g", [], [], [numpy_helper.from_array(values, "w")])), path)
        assert {each.name for each in tmp_path.iterdir()} == files
        (constant,) = onnx.load(path).graph.initializer
        np.testing.assert_array_equal(numpy_helper.to_array(constant), values)
