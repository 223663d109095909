"""Vectors and normalization of the real multilingual-e5-small.

`golden_vectors.json` holds vectors and numbers of tokens of a few sentences as queries. The wheel's C engine computed
them; it rounds activations to 8 bits, hence cosines a little below 1.
"""

import contextlib
import json
import os
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from export.checks.model_files import ModelFiles
from export.errors import ExportError
from export.opening import open_model
from export.packaged.data_file import DataFile
from export.packaged.models import E5_DATA_FILE, E5_DATA_SHA256, E5_WHEEL, multilingual_e5_small
from export.packaged.tokenizer import build_tokenizer

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

GOLDEN = json.loads((Path(__file__).parent / "golden_vectors.json").read_text(encoding="utf-8"))


@contextlib.contextmanager
def skipping_without_an_index() -> Iterator[None]:
    """Skips the test if the wheel cannot be downloaded; CI must have it."""
    try:
        yield
    except ExportError as error:
        if "cannot download" not in str(error) or os.environ.get("CI"):
            raise
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def model() -> Path:
    with skipping_without_an_index():
        return multilingual_e5_small()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> DataFile:
    with skipping_without_an_index():
        wheel = E5_WHEEL.download(tmp_path_factory.mktemp("wheel"))
    return DataFile(wheel.read(E5_DATA_FILE, sha256=E5_DATA_SHA256))


def test_vectors_are_those_of_the_engine_in_the_wheel(model: Path) -> None:
    opened = open_model(ModelFiles(str(model)), "")
    texts = [golden["text"] for golden in GOLDEN]
    vectors = opened.encode(texts, prompt_name="query")
    expected = np.array([golden["vector"] for golden in GOLDEN])
    cosines = (vectors * expected).sum(axis=1) / np.linalg.norm(expected, axis=1)
    assert cosines.min() > 0.9998
    counts = [len(ids) for ids in opened.tokenizer(["query: " + text for text in texts])["input_ids"]]
    assert counts == [golden["tokens"] for golden in GOLDEN]


def test_every_character_is_normalized_by_the_map_of_the_file(data: DataFile, tmp_path: Path) -> None:
    normalizer = build_tokenizer(data.vocabulary, tmp_path).normalizer
    characters = [chr(code) for code in range(1, 0x110000) if not 0xD800 <= code < 0xE000]
    given = data.vocabulary.normalization
    differing = [each for each in characters if normalizer.normalize_str(each) != given.get(each, each)]
    assert differing == []


def test_decomposed_hangul_is_composed(data: DataFile, tmp_path: Path) -> None:
    tokenizer = build_tokenizer(data.vocabulary, tmp_path)
    for golden in GOLDEN:
        split = unicodedata.normalize("NFD", golden["text"])
        assert tokenizer.encode(split).ids == tokenizer.encode(golden["text"]).ids
