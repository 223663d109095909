import json
import resource
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from export.checks.model_files import ModelFiles
from export.errors import ExportError
from export.opening import licence_of, open_model
from export.packaged.cache import cached_model
from export.packaged.conversion import PROMPTS, convert
from export.packaged.data_file import DataFile
from export.packaged.tokenizer import build_tokenizer
from tests.export.packaged.small_data_file import HIDDEN, ROWS, TOKENS, SmallDataFile

pytestmark = pytest.mark.filterwarnings("ignore")  # torch and related libraries emit warnings.


@pytest.fixture(scope="module")
def small() -> SmallDataFile:
    return SmallDataFile()


@pytest.fixture(scope="module")
def model(small: SmallDataFile, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("model")
    convert(small.content, directory)
    return directory


def test_the_weights_are_converted_bit_for_bit(small: SmallDataFile, model: Path) -> None:
    weights = load_file(model / "model.safetensors")
    assert len(weights) == len(small.weights)
    for converted, original in [
        ("embeddings.word_embeddings.weight", "emb.word"),
        ("encoder.layer.1.attention.output.dense.weight", "l1.ao.w"),
        ("encoder.layer.0.output.LayerNorm.bias", "l0.oln.b"),
    ]:
        np.testing.assert_array_equal(weights[converted], small.weights[original])


def test_the_directory_describes_a_bert(model: Path) -> None:
    config = json.loads((model / "config.json").read_text())
    assert (config["model_type"], config["architectures"], config["vocab_size"]) == ("bert", ["BertModel"], ROWS)
    assert config["pad_token_id"] == 1
    assert licence_of(str(model)) == "mit"


def test_sentence_transformers_opens_it(model: Path) -> None:
    """test_real_model.py compares its vectors with those of another engine."""
    opened = open_model(ModelFiles(str(model)), "")
    assert {name: opened.prompts[name] for name in PROMPTS} == PROMPTS
    assert (opened.similarity_fn_name, opened.max_seq_length) == ("cosine", 40)
    (vector,) = opened.encode(["a가 ab"])
    assert vector.shape == (HIDDEN,)
    assert np.linalg.norm(vector) == pytest.approx(1)


def test_the_tokenizer_normalizes_by_the_map_of_the_file(small: SmallDataFile, tmp_path: Path) -> None:
    tokenizer = build_tokenizer(DataFile(small.content).vocabulary, tmp_path)
    encoding = tokenizer.encode("\x07Ａ\n\n가①  ")
    assert encoding.tokens == ["<s>", "▁a", "▁가", "ab", "</s>"]
    assert encoding.ids == [TOKENS.index(token) for token in encoding.tokens]
    assert tokenizer.encode(unicodedata.normalize("NFD", "가나다")).tokens[1:-1] == ["▁가", "나", "다"]


def test_a_full_disk_gives_an_error_of_one_line(
    small: SmallDataFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        with pytest.raises(ExportError, match=r"^cannot keep the converted model in .*: .*File too large.*; make room"):
            cached_model("model", lambda directory: convert(small.content, directory))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [path.name for path in (tmp_path / "chaja").iterdir()] == [".model.lock"]
