"""Long texts: the bundle encodes them as the original does, and the gate compares them."""

import importlib
import random
from pathlib import Path
from typing import Any

import pytest
from sentence_transformers import SentenceTransformer

from export.quality.long_texts import long_texts
from export.sentences import GOLDEN_TEXTS
from export.source import SourceModel
from export.towers import SourceTowers
from server.encoding.golden import cosines
from server.encoding.kind import TextKind
from tests.export.command_line import TINY_CORPUS, assert_one_line, export, export_tiny
from tests.export.packed.random_models import random_model
from tests.export.test_trimmed_bundle import many_scripts
from tests.export.tiny_models import BERT_TOKENS, LETTERS, fast_tokenizer, plain_bert, sliding_gemma

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


def modern_bert(directory: Path, **changes: Any) -> Path:
    """Makes a small ModernBERT, most of whose layers have an attention window of 8 tokens on each side."""
    random_model("modernbert", **changes).save_pretrained(directory)
    words = [*BERT_TOKENS.values(), *LETTERS]
    fast_tokenizer(words, model_input_names=["input_ids", "attention_mask"]).save_pretrained(directory)
    return directory


def letters(count: int) -> str:
    chosen = random.Random(count)
    return " ".join(chosen.choices(LETTERS, k=count))


@pytest.mark.parametrize(("make", "layout"), [(sliding_gemma, "padded"), (modern_bert, "packed")])
def test_long_texts_get_the_vectors_of_sentence_transformers(tmp_path: Path, make: Any, layout: str) -> None:
    model = make(tmp_path / "model")
    made = export_tiny(model, "--quantization", "none")
    assert made.manifest.query.layout == layout
    texts = [letters(count) for count in (3, 20, 60, 120, 190, 290, 500)]
    expected = SentenceTransformer(str(model), device="cpu").encode(texts)
    assert cosines(made.bundle.encode_texts([(text, TextKind.TEXT) for text in texts]), expected).min() > 0.99999


def test_a_graph_that_is_wrong_only_for_long_texts_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = modern_bert(tmp_path / "model", local_attention=128)
    reader = importlib.import_module("export.packed.architectures.modernbert")
    window = reader._window
    monkeypatch.setattr(reader, "_window", lambda reach: window(reach // 2))
    short = export(
        "--model", model, "--out", tmp_path / "short", "--max-tokens", "32", "--eval", TINY_CORPUS, "--force"
    )
    assert short.returncode == 0, short.stderr
    run = export("--model", model, "--out", tmp_path / "long", "--eval", TINY_CORPUS, "--force")
    assert_one_line(run, "the exported graph differs from the model: in fp32, its worst cosine to the original is 0.")


def test_the_comparison_has_texts_of_all_lengths_up_to_the_maximum(tmp_path: Path) -> None:
    model = SourceModel(str(sliding_gemma(tmp_path / "model", max_tokens=5000)))
    texts = long_texts(SourceTowers(model), GOLDEN_TEXTS)
    lengths = [len(model.token_ends(text)) for text, _ in texts]
    assert lengths == [64] * 4 + [256] * 4 + [1024, 4096, 5000]
    assert len(model.token_ids([texts[-1][0]])[0]) == 5000
    assert len(set(texts)) == len(texts)


def test_long_texts_keep_to_the_languages_of_the_vocabulary(tmp_path: Path) -> None:
    source = SourceTowers(SourceModel(str(many_scripts(tmp_path / "model")), languages=("ko", "en")))
    sentences = [("ab c", TextKind.TEXT), ("дбж", TextKind.TEXT), ("가나", TextKind.QUERY)]
    texts = long_texts(source, [text for text in sentences if source.covers(*text)])
    assert len(texts) > 1
    assert all(source.covers(*text) and "가나" in text[0] for text in texts)


def test_texts_are_cut_at_the_maximum_that_a_flag_sets(tmp_path: Path) -> None:
    model = plain_bert(tmp_path / "plain")
    made = export_tiny(model, "--max-tokens", "12", "--query-prefix", "a b ")
    assert made.manifest.query.max_tokens == 12
    assert "texts of up to 12 tokens" in made.stdout
    longer, cut = ("a " * 8 + "b c d", TextKind.TEXT), ("a " * 8 + "b c", TextKind.TEXT)
    vectors = made.bundle.encode_texts([longer, cut])
    assert vectors[0].tobytes() == vectors[1].tobytes()
    for tokens in ("4", "41"):
        run = export("--model", model, "--out", tmp_path / "bundle", "--max-tokens", tokens, "--query-prefix", "a b ")
        assert_one_line(run, f"--max-tokens {tokens}: plain encodes texts of 5 to 40 tokens")


@pytest.mark.parametrize(("stated", "expected"), [(300, 300), (8192, 8192), (32768, 8192)])
def test_a_model_with_a_very_large_maximum_is_cut_at_8192_tokens(tmp_path: Path, stated: int, expected: int) -> None:
    assert SourceModel(str(sliding_gemma(tmp_path / "model", max_tokens=stated))).max_tokens == expected
