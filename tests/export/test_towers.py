import shutil
from pathlib import Path

import numpy as np
import pytest

from export.source import SourceModel
from server.encoding.kind import TextKind
from tests.export.command_line import assert_one_line, export, export_tiny
from tests.export.tiny_models import dpr_encoder, plain_bert, poison, sentence_transformer

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


def test_two_directories_of_sentence_transformers_become_one_bundle(tmp_path: Path) -> None:
    prompts = {"query": "q: ", "passage": "p: "}
    query = sentence_transformer(tmp_path / "left", pooling="cls", similarity="cosine", prompts=prompts)
    document = sentence_transformer(tmp_path / "right", pooling="mean", similarity="cosine", prompts=prompts)
    made = export_tiny(query, "--document-model", document, "--quantization", "none")
    assert "document tower        right, licence unknown; none, packed layout, mean pooling" in made.stdout
    readme = (made.directory / "README.md").read_text(encoding="utf-8")
    assert "made by `python -m export` from\nleft and right." in readme
    manifest = made.manifest
    assert (manifest.name, manifest.title_separator) == ("left", None)
    assert [manifest.prefixes.of(kind) for kind in TextKind] == ["q: ", "p: ", "p: ", "q: "]
    assert [tower.pooling for tower in manifest.towers.values()] == ["cls", "mean"]
    for kind, model in ((TextKind.QUERY, query), (TextKind.TEXT, document)):
        texts = [("a b c", kind), ("hello", kind)]
        np.testing.assert_allclose(made.bundle.encode_texts(texts), SourceModel(str(model)).encode(texts), atol=2e-5)
    single = export_tiny(query)
    assert single.directory == made.directory
    assert single.manifest.document is None
    assert not (single.directory / "document").exists()


def test_weights_that_are_not_finite_are_named(tmp_path: Path) -> None:
    out = tmp_path / "bundle"
    model = poison(plain_bert(tmp_path / "plain"), "encoder.layer.1.output.dense.weight")
    message = "plain has NaN or infinity in encoder.layer.1.output.dense.weight"
    assert_one_line(export("--model", model, "--out", out), message)
    question = dpr_encoder(tmp_path / "question")
    context = poison(dpr_encoder(tmp_path / "context", "context"), "ctx_encoder.bert_model.embeddings.LayerNorm.bias")
    message = "context has NaN or infinity in embeddings.LayerNorm.bias"
    assert_one_line(export("--model", question, "--document-model", context, "--out", out), message)
    assert not out.exists()


def test_a_model_without_a_tokenizer_is_refused(tmp_path: Path) -> None:
    plain, bare = plain_bert(tmp_path / "plain"), tmp_path / "bare"
    bare.mkdir()
    for name in ("config.json", "model.safetensors"):
        shutil.copy(plain / name, bare)
    run = export("--model", plain, "--document-model", bare, "--out", tmp_path / "bundle")
    assert_one_line(run, f"{bare} has no tokenizer (tokenizer.json)")
