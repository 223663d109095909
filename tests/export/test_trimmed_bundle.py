import json
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
import tokenizers
import torch
import transformers
from numpy.typing import NDArray

from export.cpu import default_preset
from export.errors import ExportError
from export.graphs import open_graphs
from export.packed.architectures import UnknownArchitecture
from export.recipe import Quantization, Recipe
from export.source import SourceModel
from server.encoding.encoder import open_encoder
from server.encoding.kind import TextKind
from server.encoding.manifest import Layout
from tests.export.command_line import assert_one_line, export, export_tiny, exported
from tests.export.tiny_models import SIZES, fast_tokenizer, plain_bert

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

TEXTS = ["ab c 가나", "hello 나", "가", "1 a ㎛ !", "e o ? а"]
"""The last text holds a single Cyrillic letter, which the trimmed vocabulary keeps."""

CALIBRATION = ["а дбж 中あ", "дбж дб", "中 a", "ab 가나 дбж", "あ中 дбж c"]
"""Texts that a trimmed vocabulary would split differently."""


def many_scripts(directory: Path, *, kind: str = "bert") -> Path:
    """Makes a small random BERT, or a similar model, whose vocabulary mixes many scripts."""
    words = ["[PAD]", "[UNK]", "дбж", "[CLS]", "дб", "[SEP]", "[MASK]", *"абaдbжcdefghijklmnopqrstuvwxyz"]
    words += ["中あ", "가", "##나", "가나", "あ中", "나", "1", "!", "?", "μ", "##m", "ab", "дб1", "##жд", "中", "##あ"]
    torch.manual_seed(0)
    # More rows than tokens, as in multilingual-e5-small.
    sizes = SIZES | {"vocab_size": len(words) + 5, "max_position_embeddings": 42, "pad_token_id": 0}
    config = transformers.AutoConfig.for_model(kind, **sizes)
    transformers.AutoModel.from_config(config).save_pretrained(directory)
    fast_tokenizer(words).save_pretrained(directory)
    return directory


def served(model: Path, scratch: Path, quantization: Quantization, languages: tuple[str, ...]) -> tuple[Path, Layout]:
    """Writes the served graph and its tokenizer to `scratch`; returns the graph's path and its layout."""
    source = SourceModel(str(model), languages=languages)
    recipe = Recipe(quantization=quantization, preset=default_preset(), calibration=CALIBRATION)
    before, after = scratch / "before", scratch / "after"
    before.mkdir(parents=True)
    after.mkdir()
    graphs = open_graphs(source, before, recipe, progress=lambda step: None)
    source.save_tokenizer(scratch / "tokenizer.json", trimmed=True)
    return graphs.quantize(after, []), graphs.layout


def vectors(scratch: Path, graph: Path, layout: Layout) -> NDArray[np.float32]:
    tokenizer = tokenizers.Tokenizer.from_file(str(scratch / "tokenizer.json"))
    return open_encoder(graph, layout).encode([tokenizer.encode(text).ids for text in TEXTS])


@pytest.mark.parametrize(("kind", "quantization"), [("bert", "none"), ("bert", "per-token"), ("roberta", "per-token")])
def test_a_trimmed_packed_graph_differs_only_in_its_table_of_words(
    tmp_path: Path, kind: str, quantization: Quantization
) -> None:
    model = many_scripts(tmp_path / "model", kind=kind)
    whole, layout = served(model, tmp_path / "whole", quantization, ())
    trimmed, trimmed_layout = served(model, tmp_path / "trimmed", quantization, ("ko", "en"))
    assert (layout, trimmed_layout) == ("packed", "packed")
    one, other = (safetensors.numpy.load_file(path.with_suffix(".safetensors")) for path in (whole, trimmed))
    assert one.keys() == other.keys()
    for name, values in one.items():
        if not name.startswith("embeddings.words."):
            assert values.tobytes() == other[name].tobytes(), name
    assert len(one["embeddings.words.weight"]) > len(other["embeddings.words.weight"])
    expected = vectors(tmp_path / "whole", whole, layout)
    assert expected.tobytes() == vectors(tmp_path / "trimmed", trimmed, layout).tobytes()
    assert len(np.unique(expected, axis=0)) == len(TEXTS)


def forbid_packed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes the packed layout refuse every model."""

    def refuse(transformer: object) -> None:
        raise UnknownArchitecture("refused by the test")

    monkeypatch.setattr("export.packed.graphs.read_weights", refuse)


@pytest.mark.parametrize("quantization", ["dynamic", "static", "none"])
def test_a_trimmed_padded_graph_gives_the_same_vectors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quantization: Quantization
) -> None:
    forbid_packed(monkeypatch)
    model = many_scripts(tmp_path / "model")
    whole, layout = served(model, tmp_path / "whole", quantization, ())
    trimmed, trimmed_layout = served(model, tmp_path / "trimmed", quantization, ("ko", "en"))
    assert (layout, trimmed_layout) == ("padded", "padded")
    assert trimmed.stat().st_size < whole.stat().st_size
    expected = vectors(tmp_path / "whole", whole, layout)
    assert expected.tobytes() == vectors(tmp_path / "trimmed", trimmed, layout).tobytes()


def test_a_padded_graph_that_counts_positions_by_token_ids_is_refused(tmp_path: Path) -> None:
    model = many_scripts(tmp_path / "model", kind="roberta")
    with pytest.raises(ExportError, match=r"uses its token ids in .*export it with --languages all"):
        served(model, tmp_path / "trimmed", "dynamic", ("ko", "en"))


def test_both_towers_are_trimmed_and_the_bundle_reports_it(tmp_path: Path) -> None:
    model = many_scripts(tmp_path / "model")
    made = export_tiny(model, "--document-model", model, "--languages", "ko,en")
    assert made.manifest.languages == ["ko", "en"]
    assert "ko, en: 47 of 53, 47 of 53 vocabulary tokens kept; text in other scripts is read as" in made.stdout
    assert "ko, en: 47 of 53" in (made.directory / "README.md").read_text(encoding="utf-8")
    texts = [(text, kind) for text in ("дбж 中あ", "あ中") for kind in TextKind]
    assert np.isfinite(made.bundle.encode_texts(texts)).all()


def test_a_text_is_covered_if_its_tokens_are_kept(tmp_path: Path) -> None:
    model = str(many_scripts(tmp_path / "model"))
    trimmed, whole = SourceModel(model, languages=["ko", "en"]), SourceModel(model)
    assert all(trimmed.covers(text, TextKind.QUERY) for text in TEXTS)
    for text in ("дбж", "ab 中あ"):
        assert not trimmed.covers(text, TextKind.QUERY)
        assert whole.covers(text, TextKind.QUERY)
    prefixed = SourceModel(model, languages=["ko", "en"], prefixes={TextKind.TITLE: "дбж "})
    assert not prefixed.covers("ab", TextKind.TITLE)
    assert prefixed.covers("ab", TextKind.QUERY)


def test_a_bundle_is_compared_only_in_its_languages(tmp_path: Path) -> None:
    corpus, model = tmp_path / "corpus", many_scripts(tmp_path / "model")
    (corpus / "qrels").mkdir(parents=True)
    for name, texts in (
        ("corpus", {"one": "дбж дб", "two": "ab c", "three": "e"}),
        ("queries", {"1": "дбж", "2": "c ab"}),
    ):
        lines = [json.dumps({"_id": id, "text": text}) for id, text in texts.items()]
        (corpus / f"{name}.jsonl").write_text("\n".join(lines))
    labels = "query-id\tcorpus-id\tscore\n1\tone\t1\n"
    (corpus / "qrels/test.tsv").write_text(labels + "2\ttwo\t1\n")
    made = exported(model, "--eval", corpus, "--languages", "en", "--quantization", "none")
    assert "1 queries, 2 documents" in made.stdout
    (corpus / "qrels/test.tsv").write_text(labels)
    run = export("--model", model, "--out", made.directory, "--eval", corpus, "--languages", "en")
    assert_one_line(run, "has no documents or no queries in the languages")


def test_impossible_languages_are_refused(tmp_path: Path) -> None:
    out = tmp_path / "bundle"
    assert_one_line(export("--out", out, "--languages", "ko,xx"), "--languages: unknown code xx; use ar", code=2)
    run = export("--model", plain_bert(tmp_path / "latin"), "--out", out, "--languages", "ko")
    assert_one_line(run, "would leave no token of that language")
    assert not out.exists()
