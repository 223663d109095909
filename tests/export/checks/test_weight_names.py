from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import transformers

from export.source import SourceModel
from server.encoding.kind import TextKind
from tests.export.checks.damage import (
    WEIGHTS,
    Tensors,
    assert_exported,
    assert_refused,
    change_weights,
    set_in,
    to_bin,
)
from tests.export.command_line import TINY_CORPUS, assert_one_line, export
from tests.export.tiny_models import SIZES, dense_model, dpr_encoder, plain_bert, plain_roberta

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

LAYER = "encoder.layer.1.output.dense.weight"


def without(*beginnings: str) -> Callable[[Tensors], Tensors]:
    return lambda weights: {name: each for name, each in weights.items() if not name.startswith(beginnings)}


def under(prefix: str) -> Callable[[Tensors], Tensors]:
    return lambda weights: {f"{prefix}{name}": each for name, each in weights.items()}


def with_head(weights: Tensors) -> Tensors:
    head = {"cls.predictions.bias": torch.zeros(36), "cls.predictions.transform.dense.weight": torch.zeros(32, 32)}
    return under("bert.")(without("pooler")(weights)) | head


def test_weights_under_another_prefix_are_refused_with_their_names(tmp_path: Path) -> None:
    model = change_weights(plain_bert(tmp_path / "model"), under("model."))
    assert_refused(
        model,
        "the weights of model do not fit its config.json: missing weights: embeddings.LayerNorm.bias",
        "and 32 more; unexpected weights: model.embeddings.LayerNorm.bias",
    )
    to_bin(model)
    assert_refused(model, "missing weights: embeddings.LayerNorm.bias")


def test_a_missing_layer_and_a_missing_weight_are_refused(tmp_path: Path) -> None:
    model = change_weights(plain_bert(tmp_path / "one"), without("encoder.layer.1."))
    assert_refused(model, "missing weights: encoder.layer.1.attention.output.LayerNorm.bias")
    model = change_weights(plain_bert(tmp_path / "other"), without(LAYER))
    assert_refused(model, f"the weights of other do not fit its config.json: missing weights: {LAYER}")


def test_a_layer_more_than_in_the_config_is_refused(tmp_path: Path) -> None:
    model = plain_bert(tmp_path / "model")
    set_in(model / "config.json", num_hidden_layers=1)
    assert_refused(model, "unexpected weights: encoder.layer.1.attention.output.LayerNorm.bias")


def test_weights_of_another_shape_are_refused(tmp_path: Path) -> None:
    model = plain_bert(tmp_path / "words")
    set_in(model / "config.json", vocab_size=40)
    assert_refused(model, "embeddings.word_embeddings.weight is not [40, 32] (vocab_size is 40)")
    to_bin(model)
    assert_refused(model, "embeddings.word_embeddings.weight is not [40, 32] (vocab_size is 40)")
    model = plain_bert(tmp_path / "inner")
    set_in(model / "config.json", intermediate_size=48)
    assert_refused(model, "weights of another shape: encoder.layer.0.intermediate.dense.bias is not [48]")


def test_a_part_of_the_weights_without_the_prefix_of_the_others_is_refused(tmp_path: Path) -> None:
    """Such weights count as a task's head in transformers, which fills in random ones without a word."""

    def mixed(weights: Tensors) -> Tensors:
        return {name if "layer.1" in name else f"bert.{name}": each for name, each in weights.items()}

    model = change_weights(plain_bert(tmp_path / "model"), mixed)
    assert_refused(model, "encoder.layer.1.attention.output.LayerNorm.bias")


def test_a_checkpoint_with_a_head_and_without_a_pooler_has_the_vectors_of_the_encoder(tmp_path: Path) -> None:
    bare = plain_bert(tmp_path / "bare")
    model = change_weights(plain_bert(tmp_path / "model"), with_head)
    assert_exported(model)
    texts = [("a b c", TextKind.QUERY)]
    assert SourceModel(str(model)).encode(texts).tobytes() == SourceModel(str(bare)).encode(texts).tobytes()


@pytest.mark.parametrize("kind", ["roberta", "electra", "distilbert", "mpnet", "modernbert", "deberta-v2"])
def test_checkpoints_of_masked_language_models_fit(tmp_path: Path, kind: str) -> None:
    """Their heads have many names; `model.` is a part of ModernBERT's own."""
    model = plain_roberta(tmp_path / "model")
    special = {f"{name}_token_id": 1 for name in ("bos", "eos", "cls", "sep")} if kind == "modernbert" else {}
    config = transformers.AutoConfig.for_model(
        kind, vocab_size=31, max_position_embeddings=42, pad_token_id=1, **SIZES, **special
    )
    transformers.AutoModelForMaskedLM.from_config(config).save_pretrained(model)
    assert SourceModel(str(model)).encode([("a b", TextKind.QUERY)]).shape == (1, 32)


def test_stored_position_ids_are_not_an_error(tmp_path: Path) -> None:
    assert_exported(
        change_weights(
            plain_bert(tmp_path / "model"),
            lambda weights: weights | {"embeddings.position_ids": torch.arange(40)[None]},
        )
    )


def test_a_model_with_tied_weights_is_exported(tmp_path: Path) -> None:
    """ALBERT's layers share their weights, and a model for masked tokens shares its embeddings with its head."""
    albert = plain_roberta(tmp_path / "albert", kind="albert")
    assert_exported(albert)
    masked = plain_roberta(tmp_path / "masked")
    config = transformers.AutoConfig.from_pretrained(masked)
    transformers.AutoModelForMaskedLM.from_config(config).save_pretrained(masked)
    assert_exported(masked)


def test_parts_of_weights_are_checked_like_whole_ones(tmp_path: Path) -> None:
    model = plain_bert(tmp_path / "model")
    opened = transformers.AutoModel.from_pretrained(model)
    (model / WEIGHTS).unlink()
    opened.save_pretrained(model, max_shard_size="20KB")
    assert len(list(model.glob("model-*.safetensors"))) > 2
    assert_exported(model)
    set_in(model / "config.json", num_hidden_layers=3)
    assert_refused(model, "missing weights: encoder.layer.2.attention.output.LayerNorm.bias")


@pytest.mark.parametrize("kind", ["question", "context"])
def test_both_towers_of_dpr_are_checked(tmp_path: Path, kind: str) -> None:
    places = {each: dpr_encoder(tmp_path / each, each) for each in ("question", "context")}
    change_weights(places[kind], under("model."))
    flags: list[str | Path] = [
        "--model",
        places["question"],
        "--document-model",
        places["context"],
        "--eval",
        TINY_CORPUS,
    ]
    run = export(*flags, "--out", tmp_path / "bundle")
    assert_one_line(run, f"the weights of {kind} do not fit its config.json: missing weights: ")


def test_the_document_tower_is_checked(tmp_path: Path) -> None:
    query, document = plain_bert(tmp_path / "query"), plain_bert(tmp_path / "document")
    change_weights(document, without(LAYER))
    run = export("--model", query, "--document-model", document, "--out", tmp_path / "bundle")
    assert_one_line(run, f"the weights of document do not fit its config.json: missing weights: {LAYER}")


def test_weights_of_a_linear_layer_after_the_pooling_are_checked(tmp_path: Path) -> None:
    model = dense_model(tmp_path / "lacking")
    change_weights(model, without("linear.bias"), f"2_Dense/{WEIGHTS}")
    assert_refused(model, 'Missing key(s) in state_dict: "linear.bias"')
    model = dense_model(tmp_path / "narrow")
    set_in(model / "2_Dense/config.json", out_features=8)
    assert_refused(model, "size mismatch for linear.weight")
    to_bin(model / "2_Dense")
    assert_refused(model, "size mismatch for linear.weight")
