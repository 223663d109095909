from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from numpy.typing import NDArray

from export.bundle import BundleOptions, write_bundle
from export.cpu import default_preset
from export.errors import ExportError
from export.labelled_queries import LabelledQuery
from export.quality.corpus import Corpus
from export.recipe import Quantization, Recipe
from export.source import SourceModel
from export.towers import SourceTowers
from server.catalogue.document import Document, Field
from server.encoding.bundle import Bundle
from server.encoding.golden import cosines
from server.encoding.kind import TextKind
from server.encoding.passages import encodables_of
from tests.export.tiny_models import dpr_encoder, fast_tokenizer, plain_bert

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

QUERIES = ["a", "b c d e", "where is it", "z y x w v u t s r q p o n"]
DOCUMENT = Document(id="d", title={"ko": "t i", "en": "t l e"}, text={"en": "a b c, d e.", "fr": "x y"})
CORPUS = Corpus("one", [DOCUMENT], [LabelledQuery(query="a b", language="en", relevant=["d"])])


def export(query: Path, document: Path, out: Path, *, quantization: Quantization = "none") -> Bundle:
    source = SourceTowers(SourceModel(str(query)), SourceModel(str(document)))
    recipe = Recipe(quantization=quantization, preset=default_preset())
    write_bundle(source, out, BundleOptions(recipe=recipe, corpus=CORPUS, force=True), progress=lambda step: None)
    return Bundle(out)


def question_vectors(place: Path, texts: list[str]) -> NDArray[np.float32]:
    tokenizer: Any = transformers.AutoTokenizer.from_pretrained(place)
    model: Any = transformers.DPRQuestionEncoder.from_pretrained(place)
    with torch.no_grad():
        return np.concatenate([model(**tokenizer(text, return_tensors="pt")).pooler_output for text in texts])


def context_vectors(place: Path, titles: list[str], texts: list[str]) -> NDArray[np.float32]:
    """Encodes pairs, with token types of 0, as in DPR's code."""
    tokenizer: Any = transformers.AutoTokenizer.from_pretrained(place)
    model: Any = transformers.DPRContextEncoder.from_pretrained(place)
    rows = []
    for title, text in zip(titles, texts, strict=True):
        ids = tokenizer(title, text, return_tensors="pt")["input_ids"]
        with torch.no_grad():
            rows.append(model(ids, token_type_ids=torch.zeros_like(ids)).pooler_output)
    return np.concatenate(rows)


@pytest.mark.parametrize(
    ("quantization", "projection_dim"), [("none", 0), ("none", 16), ("per-token", 16), ("dynamic", 16)]
)
def test_both_towers_compute_the_same_as_transformers(
    tmp_path: Path, quantization: Quantization, projection_dim: int
) -> None:
    query = dpr_encoder(tmp_path / "question", "question", projection_dim=projection_dim)
    document = dpr_encoder(tmp_path / "context", "context", projection_dim=projection_dim)
    bundle = export(query, document, tmp_path / "bundle", quantization=quantization)
    manifest = bundle.manifest
    assert (manifest.similarity, manifest.dimension) == ("dot", projection_dim or 32)
    assert (manifest.query.pooling, manifest.query.normalise) == ("cls", False)
    assert [tower.source.model for tower in manifest.towers.values()] == ["question", "context"]
    assert manifest.query.layout == ("padded" if quantization == "dynamic" else "packed")

    encodables = encodables_of(DOCUMENT, manifest.title_separator)
    texts = [each.text for each in encodables if each.part.field is Field.TEXT]
    vectors = bundle.encode_texts([*((text, TextKind.QUERY) for text in QUERIES), *texts])
    expected = np.concatenate(
        [question_vectors(query, QUERIES), context_vectors(document, ["t l e", "t i"], ["a b c, d e.", "x y"])]
    )
    if quantization == "none":
        np.testing.assert_allclose(vectors, expected, atol=5e-5)
    else:
        assert cosines(vectors, expected).min() > 0.99
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), np.linalg.norm(expected, axis=1), rtol=0.05)


def test_a_title_and_a_text_have_the_tokens_of_a_pair_in_transformers(tmp_path: Path) -> None:
    query = dpr_encoder(tmp_path / "question", max_position_embeddings=24)
    document = dpr_encoder(tmp_path / "context", "context")
    bundle = export(query, document, tmp_path / "bundle")
    assert [tower.max_tokens for tower in bundle.manifest.towers.values()] == [24, 40]
    assert bundle.manifest.title_separator == " [SEP] "
    reference: Any = transformers.AutoTokenizer.from_pretrained(document)
    for title, text in [("a b", "c d e"), ("x", "y."), ("a-b", "c  [SEP] d"), ("ㄱ", "ae!")]:
        tokens = bundle.tokenize([(f"{title} [SEP] {text}", TextKind.TEXT)])[0]
        assert tokens.ids == reference(title, text)["input_ids"]


def test_a_tokenizer_that_joins_pairs_differently_is_refused(tmp_path: Path) -> None:
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b"]
    tokenizer = fast_tokenizer(words)
    tokenizer.backend_tokenizer.post_processor = None
    document = dpr_encoder(tmp_path / "context", "context")
    tokenizer.save_pretrained(document)
    with pytest.raises(ExportError, match="the tokenizer of context joins a title and a text with other tokens"):
        SourceModel(str(document))


def test_models_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    question, context = (SourceModel(str(dpr_encoder(tmp_path / kind, kind))) for kind in ("question", "context"))
    narrow = SourceModel(str(dpr_encoder(tmp_path / "narrow", "context", projection_dim=16)))
    cosine = SourceModel(str(plain_bert(tmp_path / "cosine")))
    refused: list[tuple[tuple[SourceModel, ...], str]] = [
        ((question,), "question encodes only queries: set its context encoder as --document-model"),
        ((context,), "context encodes only documents: set it as --document-model, and its question encoder as"),
        ((context, question), "context encodes only documents: set it as --document-model"),
        ((question, question), "question encodes only queries: --document-model needs its context encoder"),
        ((question, narrow), "the two models do not belong together: dimensions 32 in question, 16 in narrow"),
        ((question, cosine), "the two models do not belong together: similarity dot in question, cosine in cosine"),
    ]
    for models, message in refused:
        with pytest.raises(ExportError) as raised:
            SourceTowers(*models)
        assert message in str(raised.value)
        assert "\n" not in str(raised.value)


def test_a_reader_and_a_nameless_encoder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="is DPR's reader, which finds answers inside passages"):
        SourceModel(str(dpr_encoder(tmp_path / "reader", "reader")))
    nameless = dpr_encoder(tmp_path / "nameless")
    config = (nameless / "config.json").read_text()
    (nameless / "config.json").write_text(config.replace("DPRQuestionEncoder", "Question"))
    with pytest.raises(ExportError, match=r"its config\.json does not say which"):
        SourceModel(str(nameless))
