from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from server.encoding.bundle import Bundle
from server.encoding.kind import TextKind
from server.encoding.manifest import read_manifest
from server.ranking.probes import probes_file
from tests.export.command_line import assert_one_line, export, export_tiny
from tests.export.tiny_models import dpr_encoder, plain_bert, poison, sentence_transformer

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


def test_two_directories_of_sentence_transformers_become_one_bundle(tmp_path: Path) -> None:
    from export.source import SourceModel

    prompts = {"query": "q: ", "passage": "p: "}
    query = sentence_transformer(tmp_path / "left", pooling="cls", similarity="cosine", prompts=prompts)
    document = sentence_transformer(tmp_path / "right", pooling="mean", similarity="cosine", prompts=prompts)
    out = tmp_path / "bundle"
    run = export_tiny(
        "--model", str(query), "--document-model", str(document), "--out", str(out), "--quantization", "none"
    )
    assert run.returncode == 0, run.stderr
    assert "document tower        right, licence unknown; none, packed layout, mean pooling" in run.stdout
    assert "made by `python -m export` out of\nleft and right." in (out / "README.md").read_text(encoding="utf-8")
    manifest = read_manifest(out)
    assert (manifest.name, manifest.title_separator) == ("left", None)
    assert manifest.prefixes.by_kind() == {
        TextKind.QUERY: "q: ",
        TextKind.TITLE: "p: ",
        TextKind.TEXT: "p: ",
        TextKind.EXAMPLE: "q: ",
    }
    assert [tower.pooling for tower in manifest.towers.values()] == ["cls", "mean"]
    for kind, model in ((TextKind.QUERY, query), (TextKind.TEXT, document)):
        texts = [("a b c", kind), ("hello", kind)]
        np.testing.assert_allclose(Bundle(out).encode_texts(texts), SourceModel(str(model)).encode(texts), atol=2e-5)
    single = export_tiny("--model", str(query), "--out", str(out))
    assert single.returncode == 0, single.stderr
    assert read_manifest(out).document is None
    assert not (out / "document").exists()


def test_one_tower_of_two_prefixes_stays_one(tmp_path: Path) -> None:
    prompts = {"query": "q: ", "document": "d: "}
    model = sentence_transformer(tmp_path / "st", pooling="mean", similarity="cosine", prompts=prompts)
    run = export_tiny("--model", str(model), "--out", str(tmp_path / "bundle"))
    assert run.returncode == 0, run.stderr
    bundle = Bundle(tmp_path / "bundle")
    assert set(bundle.manifest.files) == {
        "golden.json",
        probes_file(),
        *(f"query/{name}" for name in ("model.onnx", "model.safetensors", "tokenizer.json")),
    }
    query, document = bundle.tokenize([("a", kind) for kind in (TextKind.QUERY, TextKind.TEXT)])
    assert query.ids != document.ids


def test_a_dpr_needs_both_encoders_and_says_so_on_one_line(tmp_path: Path) -> None:
    out = str(tmp_path / "bundle")
    question, context = (str(dpr_encoder(tmp_path / kind, kind)) for kind in ("question", "context"))
    assert_one_line(export("--model", question, "--out", out), "name its context encoder by --document-model")
    swapped = export("--model", context, "--document-model", question, "--out", out)
    assert_one_line(swapped, "context encodes only documents: give it as --document-model")
    assert {path.name for path in tmp_path.iterdir()} == {"question", "context"}


def test_weights_that_are_no_numbers_are_refused_by_name(tmp_path: Path) -> None:
    out = str(tmp_path / "bundle")
    model = poison(plain_bert(tmp_path / "plain"), "encoder.layer.1.output.dense.weight")
    assert_one_line(
        export("--model", str(model), "--out", out),
        "plain holds NaN or infinity in encoder.layer.1.output.dense.weight",
    )
    question = str(dpr_encoder(tmp_path / "question"))
    context = poison(dpr_encoder(tmp_path / "context", "context"), "ctx_encoder.bert_model.embeddings.LayerNorm.bias")
    assert_one_line(
        export("--model", question, "--document-model", str(context), "--out", out),
        "context holds NaN or infinity in embeddings.LayerNorm.bias",
    )
    assert not Path(out).exists()


def test_a_model_without_a_tokenizer_is_refused(tmp_path: Path) -> None:
    bare = plain_bert(tmp_path / "bare")
    for path in bare.iterdir():
        if path.name not in ("config.json", "model.safetensors"):
            path.unlink()
    run = export_tiny("--model", str(plain_bert(tmp_path / "plain")), "--document-model", str(bare), "--out", "x/y")
    assert_one_line(run, f"{bare} has no tokenizer (tokenizer.json)")
