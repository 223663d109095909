from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sample.server_process import REPOSITORY
from server.encoding.bundle import Bundle
from server.encoding.golden import cosines
from server.encoding.manifest import read_manifest
from server.encoding.tokenizer import TextKind

pytestmark = [
    pytest.mark.slow,
    # torch, optimum and their kin warn about themselves.
    pytest.mark.filterwarnings("ignore"),
]

TEXTS = [("a b c", TextKind.QUERY), ("hello", TextKind.QUERY), ("z " * 30, TextKind.DOCUMENT)]


def export(*arguments: str, directory: Path = REPOSITORY) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "export", *arguments]
    return subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=180, check=False)


def assert_one_line(run: subprocess.CompletedProcess[str], message: str, *, code: int = 1) -> None:
    lines = [line for line in run.stderr.splitlines() if not line.startswith("[")]
    assert run.returncode == code
    assert len(lines) == 1, run.stderr
    assert lines[0].startswith("export: error: ")
    assert message in lines[0]


def test_the_default_model_comes_out_of_its_package(default_bundle: Path) -> None:
    manifest = read_manifest(default_bundle)
    assert (manifest.name, manifest.dimension, manifest.max_tokens) == ("all-MiniLM-L6-v2", 384, 256)
    assert (manifest.similarity, manifest.pooling, manifest.normalise) == ("cosine", "mean", True)
    assert manifest.source.licence == "apache-2.0"
    report = manifest.report
    assert report.cosine_mean > 0.98
    assert report.cosine_min > 0.96
    assert report.int8_bytes < 0.3 * report.fp32_bytes
    assert report.int8_texts_per_second > report.fp32_texts_per_second
    assert {"onnxruntime", "optimum", "torch", "transformers"} <= set(manifest.versions)
    assert "license: apache-2.0" in (default_bundle / "README.md").read_text(encoding="utf-8")
    assert Bundle(default_bundle).verify() >= manifest.golden_cosine_floor


def test_a_plain_transformers_directory_gets_mean_pooling(tmp_path: Path) -> None:
    from export.cpu import default_preset
    from export.source import SourceModel
    from tests.export.tiny_models import plain_bert

    model = plain_bert(tmp_path / "plain")
    run = export("--model", str(model), "--out", str(tmp_path / "bundle"), "--query-prefix", "q ")
    assert run.returncode == 0, run.stderr
    assert "Warning" not in run.stderr
    manifest = read_manifest(tmp_path / "bundle")
    assert (manifest.pooling, manifest.query_prefix, manifest.max_tokens) == ("mean", "q ", 40)
    assert manifest.quantization == f"dynamic-int8/{default_preset()}"
    source = SourceModel(str(model), query_prefix="q ", document_prefix=None)
    closeness = cosines(Bundle(tmp_path / "bundle").encode_texts(TEXTS), source.encode(TEXTS))
    assert closeness.min() > 0.98


def test_positions_of_roberta_start_behind_the_padding_id(tmp_path: Path) -> None:
    from tests.export.tiny_models import plain_roberta

    run = export("--model", str(plain_roberta(tmp_path / "plain")), "--out", str(tmp_path / "bundle"))
    assert run.returncode == 0, run.stderr
    bundle = Bundle(tmp_path / "bundle")
    assert bundle.manifest.max_tokens == 40
    assert bundle.encode_texts([("a " * 99, TextKind.QUERY)]).shape == (1, 32)


def test_a_dot_product_model_with_prompts_keeps_them_and_its_lengths(tmp_path: Path) -> None:
    from tests.export.tiny_models import sentence_transformer

    prompts = {"query": "query: ", "passage": "passage: "}
    model = sentence_transformer(tmp_path / "st", pooling="cls", similarity="dot", prompts=prompts)
    run = export("--model", str(model), "--out", str(tmp_path / "bundle"))
    assert run.returncode == 0, run.stderr
    manifest = read_manifest(tmp_path / "bundle")
    assert (manifest.similarity, manifest.pooling, manifest.normalise) == ("dot", "cls", False)
    assert (manifest.query_prefix, manifest.document_prefix) == ("query: ", "passage: ")
    lengths = np.linalg.norm(Bundle(tmp_path / "bundle").encode_texts(TEXTS), axis=1)
    assert (abs(lengths - 1) > 0.01).all()


def test_an_older_bundle_is_replaced_and_anything_else_is_left_alone(tmp_path: Path, tiny_bundle: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("precious")
    assert_one_line(export("--out", str(tmp_path / "mine")), "exists and is not a bundle; choose another --out")
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "precious"
    assert_one_line(export("--out", str(tmp_path / "mine" / "thesis.txt")), "exists and is not a bundle")


def test_what_cannot_be_exported_is_refused_in_one_line(tmp_path: Path) -> None:
    from tests.export.tiny_models import plain_bert, sentence_transformer

    out = str(tmp_path / "bundle")
    assert_one_line(export("--model", str(tmp_path / "missing"), "--out", out), "there is no directory")
    (tmp_path / "empty").mkdir()
    assert_one_line(
        export("--model", str(tmp_path / "empty"), "--out", out), "has neither config.json nor modules.json"
    )

    euclidean = sentence_transformer(tmp_path / "far", pooling="mean", similarity="euclidean", prompts={})
    assert_one_line(export("--model", str(euclidean), "--out", out), "compares vectors by euclidean")

    broken = plain_bert(tmp_path / "broken")
    (broken / "model.safetensors").write_bytes(b"no weights")
    assert_one_line(export("--model", str(broken), "--out", out), "cannot open the model")

    unknown = plain_bert(tmp_path / "unknown")
    config = json.loads((unknown / "config.json").read_text())
    (unknown / "config.json").write_text(json.dumps(config | {"model_type": "marvellous"}))
    assert_one_line(export("--model", str(unknown), "--out", out), "cannot open the model")
    assert not Path(out).exists()


def test_a_wrong_flag_is_refused() -> None:
    run = export("--preset", "sse2", "--out", "x")
    assert run.returncode == 2
    assert "invalid choice: 'sse2'" in run.stderr
