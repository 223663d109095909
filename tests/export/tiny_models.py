"""Makes small random models in the layouts that the exporter takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import safetensors.torch
import tokenizers
import torch
import transformers
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefghijklmnopqrstuvwxyz", *(f"##{c}" for c in "aeiou")]


def plain_bert(directory: Path) -> Path:
    """A plain transformers directory: two layers, 32 dimensions, a tokenizer of letters."""
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=len(WORDS),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=40,
    )
    transformers.BertModel(config).save_pretrained(directory)
    fast_tokenizer(WORDS, pad="[PAD]", unknown="[UNK]", first="[CLS]", last="[SEP]", mask="[MASK]").save_pretrained(
        directory
    )
    return directory


def dpr_encoder(
    directory: Path,
    kind: str = "question",
    *,
    projection_dim: int = 0,
    hidden_size: int = 32,
    max_position_embeddings: int = 40,
) -> Path:
    """One of DPR's models (question, context or reader) in transformers' layout; each kind has weights of its own."""
    torch.manual_seed(len(kind))
    config = transformers.DPRConfig(
        vocab_size=len(WORDS),
        hidden_size=hidden_size,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=max_position_embeddings,
        projection_dim=projection_dim,
    )
    models = {
        "question": transformers.DPRQuestionEncoder,
        "context": transformers.DPRContextEncoder,
        "reader": transformers.DPRReader,
    }
    model = models[kind](config)
    for parameter in model.parameters():  # Fresh models have no bias and no gain: those must be right, too.
        parameter.data += 0.1 * torch.randn_like(parameter)
    model.save_pretrained(directory)
    fast_tokenizer(WORDS, pad="[PAD]", unknown="[UNK]", first="[CLS]", last="[SEP]", mask="[MASK]").save_pretrained(
        directory
    )
    return directory


def plain_roberta(directory: Path, *, kind: str = "roberta") -> Path:
    """The same as RoBERTa, whose positions start behind the padding id, or as another family."""
    torch.manual_seed(0)
    words = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", *"abcdefghijklmnopqrstuvwxyz"]
    config = transformers.AutoConfig.for_model(
        kind,
        vocab_size=len(words),
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=42,
        pad_token_id=1,
        type_vocab_size=1,
    )
    transformers.AutoModel.from_config(config).save_pretrained(directory)
    tokenizer = fast_tokenizer(
        words,
        pad="<pad>",
        unknown="<unk>",
        first="<s>",
        last="</s>",
        mask="<mask>",
        model_input_names=["input_ids", "attention_mask"],  # ModernBERT refuses token types.
    )
    tokenizer.save_pretrained(directory)
    return directory


def poison(directory: Path, parameter: str) -> Path:
    """Puts a NaN into the last number of a parameter of a model's directory."""
    weights = safetensors.torch.load_file(directory / "model.safetensors")
    weights[parameter].view(-1)[-1] = float("nan")
    safetensors.torch.save_file(weights, directory / "model.safetensors", metadata={"format": "pt"})
    return directory


def sentence_transformer(directory: Path, *, pooling: str, similarity: str, prompts: dict[str, str]) -> Path:
    """A sentence-transformers directory around the small BERT."""
    transformer = Transformer(str(plain_bert(directory.parent / f"{directory.name}-plain")))
    model = SentenceTransformer(
        modules=[transformer, Pooling(32, pooling_mode=pooling)],
        prompts=prompts,
        similarity_fn_name=similarity,
        device="cpu",
    )
    model.save(str(directory), create_model_card=False)
    return directory


def fast_tokenizer(
    words: list[str], *, pad: str, unknown: str, first: str, last: str, mask: str, **options: Any
) -> transformers.PreTrainedTokenizerFast:
    """A tokenizer that knows only `words`."""
    vocabulary = {word: number for number, word in enumerate(words)}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordPiece(vocabulary, unk_token=unknown))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = tokenizers.processors.TemplateProcessing(
        single=f"{first} $A {last}",
        pair=f"{first} $A {last} $B:1 {last}:1",
        special_tokens=[(first, vocabulary[first]), (last, vocabulary[last])],
    )
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=pad,
        unk_token=unknown,
        cls_token=first,
        sep_token=last,
        mask_token=mask,
        **options,
    )
