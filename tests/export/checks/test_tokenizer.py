import io
import json
from pathlib import Path

import pytest
import sentencepiece
import torch
import transformers

from export.source import SourceModel
from server.encoding.kind import TextKind
from tests.export.checks.damage import LFS_POINTER, assert_exported, assert_refused, set_in
from tests.export.tiny_models import SIZES, plain_bert, plain_roberta

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

TEXTS = ["the cat sat on a mat", "a quick brown fox", "hello world"]


def with_sentencepiece(directory: Path, kind: str) -> Path:
    """Makes a model whose only file of a tokenizer is XLM-R's sentencepiece.bpe.model."""
    torch.manual_seed(0)
    config = transformers.AutoConfig.for_model(
        kind, vocab_size=80, max_position_embeddings=42, pad_token_id=1, type_vocab_size=1, **SIZES
    )
    transformers.AutoModel.from_config(config).save_pretrained(directory)
    content = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXTS * 50),
        model_writer=content,
        vocab_size=60,
        model_type="unigram",
        hard_vocab_limit=False,
        minloglevel=2,
    )
    (directory / "sentencepiece.bpe.model").write_bytes(content.getvalue())
    return directory


def test_a_sentencepiece_model_alone_is_a_tokenizer(tmp_path: Path) -> None:
    model = with_sentencepiece(tmp_path / "model", "xlm-roberta")
    assert_exported(model)
    reference = transformers.AutoTokenizer.from_pretrained(model, use_fast=False)
    assert SourceModel(str(model)).token_ids(TEXTS) == reference(TEXTS)["input_ids"]


def test_a_sentencepiece_model_alone_needs_a_tokenizer_class_in_other_architectures(tmp_path: Path) -> None:
    model = with_sentencepiece(tmp_path / "model", "bert")
    assert_refused(model, "does not say which tokenizer its sentencepiece.bpe.model is for: set tokenizer_class in")
    (model / "tokenizer_config.json").write_text('{"tokenizer_class": "XLMRobertaTokenizer"}')
    assert_exported(model)


def test_a_damaged_tokenizer_is_named(tmp_path: Path) -> None:
    model = plain_bert(tmp_path / "model")
    path = model / "tokenizer.json"
    for content, message in (
        ('{"a": ', "is damaged or no tokenizer: "),
        ("{}", "is damaged or no tokenizer: "),
        ("", "is empty"),
        (LFS_POINTER, "is a Git LFS pointer"),
    ):
        path.write_text(content)
        assert_refused(model, f"{path} {message}")
    path.unlink()
    (model / "sentencepiece.bpe.model").write_text(LFS_POINTER)
    assert_refused(model, f"{model / 'sentencepiece.bpe.model'} is a Git LFS pointer")


def test_a_padding_id_that_shifts_positions_is_refused(tmp_path: Path) -> None:
    model = plain_roberta(tmp_path / "model")
    set_in(model / "config.json", pad_token_id=0)
    assert_refused(
        model,
        "the positions of model count from pad_token_id 0 of its config.json, but the pad_token of its tokenizer has "
        "the id 1",
    )


def test_a_padding_id_that_shifts_nothing_is_accepted(tmp_path: Path) -> None:
    """Some of the most used models are BERTs with XLM-R's tokenizer and the wrong pad_token_id."""
    model = plain_bert(tmp_path / "model")
    set_in(model / "config.json", pad_token_id=3)
    assert_exported(model)


def test_token_types_other_than_zero_are_refused(tmp_path: Path) -> None:
    model = plain_bert(tmp_path / "model")
    tokenizer = json.loads((model / "tokenizer.json").read_text())
    for part in tokenizer["post_processor"]["single"]:
        for piece in part.values():
            piece["type_id"] = 1
    (model / "tokenizer.json").write_text(json.dumps(tokenizer))
    assert_refused(model, "the tokenizer of model gives texts a token type other than 0")


def test_truncation_at_the_beginning_is_refused(tmp_path: Path) -> None:
    model = plain_bert(tmp_path / "model")
    set_in(model / "tokenizer_config.json", truncation_side="left")
    assert_refused(model, "the tokenizer of model keeps the end of a long text (truncation_side left)")


def test_padding_on_the_left_changes_nothing(tmp_path: Path) -> None:
    right, left = plain_bert(tmp_path / "right"), plain_bert(tmp_path / "left")
    set_in(left / "tokenizer_config.json", padding_side="left")
    assert_exported(left)
    texts = [("a b c", TextKind.QUERY), ("hello", TextKind.TEXT)]
    assert SourceModel(str(left)).encode(texts).tobytes() == SourceModel(str(right)).encode(texts).tobytes()
