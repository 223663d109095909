"""Makes small random models in the layouts that the exporter takes."""

from pathlib import Path
from typing import Any

import safetensors.torch
import tokenizers
import torch
import transformers
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Dense, LayerNorm, Pooling, Transformer

BERT_TOKENS = {"pad": "[PAD]", "unknown": "[UNK]", "first": "[CLS]", "last": "[SEP]", "mask": "[MASK]"}
ROBERTA_TOKENS = {"first": "<s>", "pad": "<pad>", "last": "</s>", "unknown": "<unk>", "mask": "<mask>"}
LETTERS = "abcdefghijklmnopqrstuvwxyz"
WORDS = [*BERT_TOKENS.values(), *LETTERS, *(f"##{letter}" for letter in "aeiou")]
SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}


def plain_bert(directory: Path) -> Path:
    """Makes a plain transformers directory: two layers, 32 dimensions, a tokenizer of letters."""
    torch.manual_seed(0)
    config = transformers.BertConfig(vocab_size=len(WORDS), max_position_embeddings=40, **SIZES)
    transformers.BertModel(config).save_pretrained(directory)
    fast_tokenizer(WORDS).save_pretrained(directory)
    return directory


def wide_bert(directory: Path) -> Path:
    """Makes a BERT whose products are so large that libraries divide them among threads."""
    torch.manual_seed(0)
    sizes = SIZES | {"hidden_size": 384, "intermediate_size": 1536, "num_hidden_layers": 1}
    model = transformers.BertModel(transformers.BertConfig(vocab_size=len(WORDS), max_position_embeddings=40, **sizes))
    for parameter in model.parameters():  # New models have zero biases and unit gains, which would hide errors.
        parameter.data += 0.05 * torch.randn_like(parameter)
    model.save_pretrained(directory)
    fast_tokenizer(WORDS).save_pretrained(directory)
    return directory


def dpr_encoder(
    directory: Path, kind: str = "question", *, projection_dim: int = 0, max_position_embeddings: int = 40
) -> Path:
    """Makes one of DPR's models (question, context or reader) in transformers' layout, with weights by kind."""
    torch.manual_seed(len(kind))
    config = transformers.DPRConfig(
        vocab_size=len(WORDS), max_position_embeddings=max_position_embeddings, projection_dim=projection_dim, **SIZES
    )
    models = {
        "question": transformers.DPRQuestionEncoder,
        "context": transformers.DPRContextEncoder,
        "reader": transformers.DPRReader,
    }
    model = models[kind](config)
    for parameter in model.parameters():  # New models have zero biases and unit gains, which would hide errors.
        parameter.data += 0.1 * torch.randn_like(parameter)
    model.save_pretrained(directory)
    fast_tokenizer(WORDS).save_pretrained(directory)
    return directory


def plain_roberta(directory: Path, *, kind: str = "roberta") -> Path:
    """Makes a model of another family: RoBERTa's positions start after the padding id."""
    torch.manual_seed(0)
    words = [*ROBERTA_TOKENS.values(), *LETTERS]
    sizes = SIZES | {"num_hidden_layers": 1}
    config = transformers.AutoConfig.for_model(
        kind, vocab_size=len(words), max_position_embeddings=42, pad_token_id=1, type_vocab_size=1, **sizes
    )
    transformers.AutoModel.from_config(config).save_pretrained(directory)
    inputs = ["input_ids", "attention_mask"]  # ModernBERT refuses token types.
    fast_tokenizer(words, ROBERTA_TOKENS, model_input_names=inputs).save_pretrained(directory)
    return directory


def sliding_gemma(directory: Path, *, max_tokens: int = 300) -> Path:
    """Makes a Gemma 3 that attends in both directions; each layer of the model sees 32 tokens on each side."""
    torch.manual_seed(0)
    words = [*BERT_TOKENS.values(), *LETTERS]
    sizes = {name: SIZES[name] for name in ("hidden_size", "num_attention_heads", "intermediate_size")}
    config = transformers.Gemma3TextConfig(
        vocab_size=len(words),
        max_position_embeddings=max_tokens,
        num_hidden_layers=2,
        num_key_value_heads=2,
        head_dim=8,
        layer_types=["sliding_attention"] * 2,
        sliding_window=128,
        use_bidirectional_attention=True,
        pad_token_id=0,
        **sizes,
    )
    model = transformers.AutoModel.from_config(config)
    for parameter in model.parameters():  # With plain random weights all positions would be much alike.
        parameter.data += 0.1 * torch.randn_like(parameter)
    model.save_pretrained(directory)
    fast_tokenizer(words, model_input_names=["input_ids", "attention_mask"]).save_pretrained(directory)
    return directory


def poison(directory: Path, parameter: str) -> Path:
    """Sets the last number of a parameter in a model's directory to NaN."""
    weights = safetensors.torch.load_file(directory / "model.safetensors")
    weights[parameter].view(-1)[-1] = float("nan")
    safetensors.torch.save_file(weights, directory / "model.safetensors", metadata={"format": "pt"})
    return directory


def sentence_transformer(directory: Path, *, pooling: str, similarity: str, prompts: dict[str, str]) -> Path:
    """Makes a sentence-transformers directory around the small BERT."""
    transformer = Transformer(str(plain_bert(directory.parent / f"{directory.name}-plain")))
    modules = [transformer, Pooling(32, pooling_mode=pooling)]
    model = SentenceTransformer(modules=modules, prompts=prompts, similarity_fn_name=similarity, device="cpu")
    model.save(str(directory), create_model_card=False)
    return directory


def dense_model(directory: Path) -> Path:
    """Makes a sentence-transformers directory with a linear layer, to 16 dimensions, after the pooling."""
    transformer = Transformer(str(plain_bert(directory.parent / f"{directory.name}-plain")))
    linear = Dense(32, 16, activation_function=torch.nn.Identity())
    model = SentenceTransformer(modules=[transformer, Pooling(32), linear], device="cpu")
    model.save(str(directory), create_model_card=False)
    return directory


def layer_norm_model(directory: Path) -> Path:
    """Makes a sentence-transformers directory with a LayerNorm after the pooling."""
    transformer = Transformer(str(plain_bert(directory.parent / f"{directory.name}-plain")))
    model = SentenceTransformer(modules=[transformer, Pooling(32), LayerNorm(32)], device="cpu")
    model.save(str(directory), create_model_card=False)
    return directory


def fast_tokenizer(
    words: list[str], special: dict[str, str] = BERT_TOKENS, **options: Any
) -> transformers.PreTrainedTokenizerFast:
    """Returns a tokenizer of `words`, which include the `special` tokens."""
    first, last = special["first"], special["last"]
    vocabulary = {word: number for number, word in enumerate(words)}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordPiece(vocabulary, unk_token=special["unknown"]))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = tokenizers.processors.TemplateProcessing(
        single=f"{first} $A {last}",
        pair=f"{first} $A {last} $B:1 {last}:1",
        special_tokens=[(first, vocabulary[first]), (last, vocabulary[last])],
    )
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=special["pad"],
        unk_token=special["unknown"],
        cls_token=first,
        sep_token=last,
        mask_token=special["mask"],
        **options,
    )
