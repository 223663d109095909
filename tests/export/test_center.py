from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from export.center import SUBTRACTED_SHARE, measure_center
from export.errors import ExportError
from export.source import SourceModel
from server.encoding.center import centered
from server.encoding.kind import Side, TextKind
from tests.export.command_line import assert_one_line, export, export_tiny
from tests.export.tiny_models import plain_bert, sentence_transformer

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

TEXTS = [("a b c", TextKind.QUERY), ("hello", TextKind.TITLE), ("z y", TextKind.EXAMPLE)]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return plain_bert(tmp_path_factory.mktemp("center") / "plain")


def test_a_centered_bundle_gives_the_models_vectors_minus_the_center(model: Path) -> None:
    made = export_tiny(model, "--quantization", "none", "--center", "on")
    assert "subtracted from every vector" in made.stdout
    center = np.load(made.directory / "query/center.npy")
    vectors = centered(SourceModel(str(model)).encode(TEXTS), center)
    np.testing.assert_allclose(made.bundle.encode_texts(TEXTS), vectors, atol=1e-4)


def test_the_center_is_a_share_of_the_mean_of_the_texts(model: Path) -> None:
    source = SourceModel(str(model))
    center = measure_center(source, Side.QUERY, ["a b", "c d e"], "on")
    mean = source.encode([("a b", TextKind.QUERY), ("c d e", TextKind.QUERY)]).mean(axis=0)
    assert center is not None
    np.testing.assert_allclose(center, SUBTRACTED_SHARE * mean, atol=1e-6)
    assert measure_center(source, Side.QUERY, ["a b"], "off") is None


def test_auto_centers_only_a_narrow_cone() -> None:
    @dataclass
    class Source:
        vectors: NDArray[np.float32]
        similarity: str = "cosine"

        def encode(self, _: list[tuple[str, TextKind]]) -> NDArray[np.float32]:
            return self.vectors

    wide, narrow = Source(np.eye(4, dtype=np.float32)), Source(np.full((4, 4), 0.5, dtype=np.float32))
    assert measure_center(wide, Side.QUERY, list("abcd"), "auto") is None  # type: ignore[arg-type]
    assert measure_center(narrow, Side.QUERY, list("abcd"), "auto") is not None  # type: ignore[arg-type]


def test_a_dot_product_model_is_not_centered(tmp_path: Path) -> None:
    model = sentence_transformer(tmp_path / "dot", pooling="mean", similarity="dot", prompts={})
    source = SourceModel(str(model))
    assert measure_center(source, Side.QUERY, ["a"], "auto") is None
    with pytest.raises(ExportError, match="compares by dot product"):
        measure_center(source, Side.QUERY, ["a"], "on")
    run = export("--model", model, "--out", tmp_path / "bundle", "--center", "on")
    assert_one_line(run, "--center on")
