"""The gate, and the search for the products that hurt, through the command line."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from export.report import report_of
from server.encoding.bundle import Bundle
from server.encoding.manifest import read_manifest
from tests.export.command_line import TINY_CORPUS, assert_one_line, export

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

CORPUS = ("--eval", str(TINY_CORPUS))
CLOSENESS_ALONE = ("--min-top10-overlap", "0", "--max-recall-loss", "1")
"""Among the documents of the tiny corpus a random model's hits are all but tied."""


def bert_with_outliers(directory: Path, *layers: int) -> Path:
    """A small BERT in some layers of which one of the values is ten thousand times as large as the others.

    The weights that attention's output has for it are as much smaller, so that in fp32 nothing changes. In INT8 the
    outlier decides the scale of all that goes into that product, and of the others nothing is left.
    """
    import torch
    import transformers

    from tests.export.tiny_models import plain_bert

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
        ("static", "/0/encoder/layer.{}/attention/output/dense/MatMul"),
    ],
)
def test_exactly_the_products_that_hurt_are_left_out(tmp_path: Path, quantization: str, name: str) -> None:
    model, out = bert_with_outliers(tmp_path / "model", 1), tmp_path / "bundle"
    arguments = ["--model", str(model), "--out", str(out), "--quantization", quantization, *CORPUS, *CLOSENESS_ALONE]
    refused = export(*arguments)
    assert_one_line(refused, "the bundle is not good enough: --min-cosine-mean 0.97: ")
    for advice in ("--auto-exclude", "--quantization none", "--force"):
        assert advice in refused.stderr
    assert not out.exists()
    assert [path.name for path in tmp_path.iterdir()] == ["model"]

    found = export(*arguments, "--auto-exclude")
    assert found.returncode == 0, found.stderr
    assert "not good enough (--min-cosine-mean 0.97: " in found.stderr
    assert f"{name.format(1)} left out: enough" in found.stderr
    report = report_of(read_manifest(out))
    assert report.excluded == [name.format(1)]
    assert report.missed == []
    assert report.quality.closeness.cosine_min > 0.97
    assert re.search(rf"left in fp32 +{re.escape(name.format(1))}\n", found.stdout)
    Bundle(out).verify()

    by_name = export(*arguments, "--exclude", name.format("[1]"))
    assert by_name.returncode == 0, by_name.stderr
    assert report_of(read_manifest(out)).quality == report.quality


def test_two_that_hurt_are_both_found(tmp_path: Path) -> None:
    model, out = bert_with_outliers(tmp_path / "model", 0, 1), tmp_path / "bundle"
    found = export("--model", str(model), "--out", str(out), "--auto-exclude", *CORPUS, *CLOSENESS_ALONE)
    assert found.returncode == 0, found.stderr
    assert report_of(read_manifest(out)).excluded == ["layers.0.attention_output", "layers.1.attention_output"]


def test_where_exclusions_do_not_help_it_gives_up_with_the_figures(tmp_path: Path) -> None:
    model, out = bert_with_outliers(tmp_path / "model"), tmp_path / "bundle"
    arguments = ["--model", str(model), "--out", str(out), *CORPUS, *CLOSENESS_ALONE, "--min-cosine-min", "1"]
    run = export(*arguments, "--auto-exclude")
    assert_one_line(run, "the bundle is not good enough: --min-cosine-min 1: 0.99")
    assert "leaving a third of all products in fp32 is not enough" in run.stderr
    assert not out.exists()

    forced = export(*arguments, "--force")
    assert forced.returncode == 0, forced.stderr
    assert "although it missed --min-cosine-min 1: 0.99" in forced.stdout
    again = export("inspect", str(out))
    assert again.stdout == forced.stdout


def test_names_that_match_nothing_are_told_what_there_is(tmp_path: Path) -> None:
    from tests.export.tiny_models import plain_bert

    model, out = plain_bert(tmp_path / "model"), tmp_path / "bundle"
    run = export("--model", str(model), "--out", str(out), *CORPUS, "--exclude", "embeddings.words,layers.7.*")
    assert_one_line(run, "--exclude layers.7.*: no product has this name; there is embeddings.words, layers.0.qkv, ")
    run = export("--model", str(model), "--out", str(out), *CORPUS, "--exclude", "embeddings.*,*.output", "--force")
    assert run.returncode == 0, run.stderr
    assert report_of(read_manifest(out)).excluded == ["embeddings.words", "layers.0.output", "layers.1.output"]


def test_static_is_calibrated_on_a_file(tmp_path: Path) -> None:
    from tests.export.tiny_models import plain_bert

    model, out, file = plain_bert(tmp_path / "model"), tmp_path / "bundle", tmp_path / "texts"
    arguments = ["--model", str(model), "--out", str(out), "--quantization", "static", *CORPUS, "--calibration"]
    file.write_text('a b c\n{"query": "d e"}\n\n{"text": "f g", "_id": "3"}\n', encoding="utf-8")
    run = export(*arguments, str(file), "--force")
    assert run.returncode == 0, run.stderr
    manifest = read_manifest(out)
    assert manifest.query.layout == "padded"
    assert manifest.quantization.startswith("static-int8/")
    assert report_of(manifest).quality.invariance.identical_share == 1.0

    for content, message in [
        (b"\n \n", "has no texts"),
        (b"a\n{\n", f"{file}:2: "),
        (b'{"title": "a"}\n', f"{file}:1: expected a text or a query"),
        (b"\xff\xfe", "is not UTF-8"),
    ]:
        file.write_bytes(content)
        assert_one_line(export(*arguments, str(file)), message)
    assert_one_line(export(*arguments, str(tmp_path / "missing")), "cannot be read: No such file")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--quantization", "none", "--auto-exclude"], "--exclude and --auto-exclude leave layers out"),
        (["--quantization", "none", "--exclude", "x"], "--exclude and --auto-exclude leave layers out"),
        (
            ["--quantization", "dynamic", "--center", "off", "--calibration", "x"],
            "--calibration is for --quantization per-token or static and for --center",
        ),
        (["--min-cosine-mean", "1.5"], "--min-cosine-mean: expected a number from -1 to 1"),
        (["--min-cosine-mean", "nan"], "--min-cosine-mean: expected a number from -1 to 1"),
        (["--min-invariance", "much"], "--min-invariance: expected a number from -1 to 1"),
        (["--eval-queries", "0"], "--eval-queries: expected a whole number, 1 or more"),
        (["--eval-documents", "few"], "--eval-documents: expected a whole number, 1 or more"),
        (["--split", "dev"], "--split chooses among the labels of --eval"),
        (["--eval-queries", "5"], "--eval-queries and --eval-documents are for --eval"),
    ],
)
def test_flags_that_make_no_sense_are_refused(arguments: list[str], message: str) -> None:
    assert_one_line(export("--out", "x", *arguments), message, code=2)


def test_a_corpus_of_no_use_is_refused_before_the_work(tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    (corpus / "qrels").mkdir(parents=True)
    out = ("--out", str(tmp_path / "bundle"), "--eval", str(corpus))
    assert_one_line(export(*out), "is not in BEIR's layout: it has no qrels/*.tsv")
    (corpus / "qrels/test.tsv").write_text("query-id\tcorpus-id\tscore\nq\td\t1\n")
    assert_one_line(export(*out), "queries.jsonl cannot be read: No such file")
    (corpus / "queries.jsonl").write_text(json.dumps({"_id": "q", "text": "a"}))
    (corpus / "corpus.jsonl").write_text(json.dumps({"_id": "d", "title": " ", "text": ""}))
    assert_one_line(export(*out), "has no query with a relevant document")
