import json
from pathlib import Path

import pytest

from tests.export.command_line import TINY_CORPUS, assert_one_line, export, exported
from tests.export.tiny_models import dense_model, dpr_encoder, plain_bert, sentence_transformer

FP32 = ("--quantization", "none", "--eval", TINY_CORPUS, "--force")


def found_by(bundle: Path, report: Path, *flags: str | Path) -> dict[str, list[list[str]]]:
    """Returns what each system finds for each query."""
    run = export("evaluate", "--bundle", bundle, "--eval", TINY_CORPUS, *flags, "--json", report, "--mode", "dense")
    assert run.returncode == 0, run.stderr
    queries = json.loads(report.read_text())["by_query"]
    return {name: [each["systems"][name]["found"] for each in queries] for name in queries[0]["systems"]}


@pytest.mark.parametrize("center", ["off", "on"])
def test_an_original_finds_as_its_bundle_in_fp32(tmp_path: Path, center: str) -> None:
    model = sentence_transformer(
        tmp_path / "model", pooling="mean", similarity="cosine", prompts={"query": "a: ", "document": "b: "}
    )
    made = exported(model, *FP32, "--center", center)
    found = found_by(made.directory, tmp_path / "report.json", "--model", model, "--bm25", "none")
    assert found["DENSE fp32"] == found["DENSE"]


def test_two_towers_need_two_originals(tmp_path: Path) -> None:
    queries, documents = (dpr_encoder(tmp_path / kind / "model", kind=kind) for kind in ("question", "context"))
    bundle = exported(queries, "--document-model", documents, *FP32, "--center", "off").directory
    assert_one_line(
        export("evaluate", "--bundle", bundle, "--eval", TINY_CORPUS, "--bm25", "none", "--model", queries),
        "has two models: set --document-model, too",
    )
    flags = ("--model", queries, "--document-model", documents, "--bm25", "none")
    found = found_by(bundle, tmp_path / "report.json", *flags)
    assert found["DENSE fp32"] == found["DENSE"]


def test_a_model_with_other_vectors_is_not_the_original(tmp_path: Path) -> None:
    bundle = exported(plain_bert(tmp_path / "plain"), *FP32, "--center", "off").directory
    run = export("evaluate", "--bundle", bundle, "--eval", TINY_CORPUS, "--model", dense_model(tmp_path / "dense"))
    assert_one_line(run, f"is not the original of {bundle}, whose vectors have 32 dimensions")
