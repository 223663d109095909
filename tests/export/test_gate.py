"""The gate and the search for harmful products, through the command line."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from tests.export.command_line import TINY_CORPUS, assert_one_line, export, exported
from tests.export.tiny_models import plain_bert

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

CORPUS = ("--eval", str(TINY_CORPUS))
CLOSENESS_ALONE = ("--min-top10-overlap", "0", "--max-recall-loss", "1")
"""A random model scores the documents of the tiny corpus almost equally, so its ranking is not compared."""


def bert_with_outliers(directory: Path, *layers: int) -> Path:
    """Makes a small BERT in which one value of some layers is 10,000 times as large as the others.

    The weights of attention's output for this value are 10,000 times smaller, so fp32 computes the same. In INT8 the
    outlier decides the scale of that product's input, and the other values become zero.
    """
    plain_bert(directory)
    model: Any = transformers.BertModel.from_pretrained(directory)
    torch.manual_seed(1)
    with torch.no_grad():
        for layer in model.encoder.layer:
            for module in (layer.attention.self.value, layer.attention.output.dense):
                module.weight += 0.3 * torch.randn_like(module.weight)
        for number in layers:
            attention = model.encoder.layer[number].attention
            attention.self.value.weight[5] *= 1e4
            attention.self.value.bias[5] *= 1e4
            attention.output.dense.weight[:, 5] /= 1e4
    model.save_pretrained(directory)
    return directory


@pytest.mark.parametrize(
    ("quantization", "name"),
    [
        ("per-token", "layers.{}.attention_output"),
        ("dynamic", "/0/encoder/layer.{}/attention/output/dense/MatMul"),
    ],
)
def test_exactly_the_harmful_products_are_excluded(tmp_path: Path, quantization: str, name: str) -> None:
    model = bert_with_outliers(tmp_path / "model", 1)
    flags = ["--quantization", quantization, *CORPUS, *CLOSENESS_ALONE]
    refused = export("--model", model, "--out", tmp_path / "bundle", *flags)
    assert_one_line(refused, "the bundle misses thresholds: --min-cosine-mean 0.97: ")
    for advice in ("--auto-exclude", "--quantization none", "--force"):
        assert advice in refused.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["model"]

    found = exported(model, *flags, "--auto-exclude")
    assert "thresholds missed (--min-cosine-mean 0.97: " in found.stderr
    assert f"{name.format(1)} left out: enough" in found.stderr
    report = found.report
    assert (report.excluded, report.missed) == ([name.format(1)], [])
    assert report.quality.closeness.cosine_min > 0.97
    assert re.search(rf"left in fp32 +{re.escape(name.format(1))}\n", found.stdout)
    found.bundle.verify()
    assert exported(model, *flags, "--exclude", name.format("[1]")).report.quality == report.quality


def test_an_export_that_no_exclusion_can_help_fails_with_the_figures(tmp_path: Path) -> None:
    model = bert_with_outliers(tmp_path / "model")
    flags = [*CORPUS, *CLOSENESS_ALONE, "--min-cosine-min", "1"]
    run = export("--model", model, "--out", tmp_path / "bundle", *flags, "--auto-exclude")
    assert_one_line(run, "the bundle misses thresholds: --min-cosine-min 1: measured 0.99")
    assert "leaving a third of all products in fp32 is not enough" in run.stderr
    assert not (tmp_path / "bundle").exists()


def test_a_forced_bundle_reports_missed_thresholds_and_excluded_products(tmp_path: Path) -> None:
    flags = [*CORPUS, *CLOSENESS_ALONE, "--min-cosine-min", "1", "--exclude", "embeddings.*,*.output"]
    forced = exported(bert_with_outliers(tmp_path / "model"), *flags, "--force")
    assert forced.report.excluded == ["embeddings.words", "layers.0.output", "layers.1.output"]
    assert "although the bundle missed --min-cosine-min 1: measured 0.99" in forced.stdout
    measured = [line for line in forced.stdout.splitlines() if not line.startswith("speed, one thread")]
    assert export("inspect", forced.directory).stdout.splitlines() == measured
    assert_one_line(export("inspect", tmp_path), "is not a bundle: it has no manifest.json")


def test_static_quantization_is_calibrated_on_a_file(tmp_path: Path) -> None:
    model, file = plain_bert(tmp_path / "model"), tmp_path / "texts"
    flags = ["--quantization", "static", *CORPUS, "--calibration"]
    file.write_text('a b c\n{"query": "d e"}\n\n{"text": "f g", "_id": "3"}\n', encoding="utf-8")
    made = exported(model, *flags, file, "--force")
    assert made.manifest.query.layout == "padded"
    assert made.manifest.quantization.startswith("static-int8/")
    assert made.report.quality.invariance.identical_share == 1.0

    for content, message in [
        (b"\n \n", "has no texts"),
        (b"a\n{\n", f"{file}:2: "),
        (b'{"title": "a"}\n', f"{file}:1: expected the field text or query"),
        (b"\xff\xfe", "is not UTF-8"),
        (None, "cannot be read: No such file"),
    ]:
        file.unlink()
        if content is not None:
            file.write_bytes(content)
        assert_one_line(export("--model", model, "--out", tmp_path / "other", *flags, file), message)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--quantization", "none", "--auto-exclude"], "--exclude and --auto-exclude have no effect"),
        (["--quantization", "none", "--exclude", "x"], "--exclude and --auto-exclude have no effect"),
        (
            ["--quantization", "dynamic", "--center", "off", "--calibration", "x"],
            "--calibration needs --quantization per-token or static, or --center on or auto",
        ),
        (["--min-cosine-mean", "1.5"], "--min-cosine-mean: expected a number from -1 to 1"),
        (["--min-cosine-mean", "nan"], "--min-cosine-mean: expected a number from -1 to 1"),
        (["--min-invariance", "much"], "--min-invariance: expected a number from -1 to 1"),
        (["--eval-queries", "0"], "--eval-queries: expected a whole number, 1 or more"),
        (["--eval-documents", "few"], "--eval-documents: expected a whole number, 1 or more"),
        (["--split", "dev"], "--split needs --eval"),
        (["--eval-queries", "5"], "--eval-queries and --eval-documents need --eval"),
    ],
)
def test_invalid_flags_are_refused(arguments: list[str], message: str) -> None:
    assert_one_line(export("--out", "x", *arguments), message, code=2)
