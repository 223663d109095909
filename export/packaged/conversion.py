"""Converts a data file to a model's directory in the layout of sentence-transformers.

The model is a BERT with XLM-R's vocabulary: positions count from 0, and there are more embeddings than tokens.
"""

from __future__ import annotations

import errno
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.packaged.data_file import DataFile
from export.packaged.tokenizer import MASK, build_tokenizer

FORMAT_VERSION = 1
"""Increase this when the directory that `convert` writes changes, so that cached ones are no longer used."""

PROMPTS = {"query": "query: ", "title": "query: ", "text": "passage: ", "example": "query: "}
"""The prefix of each kind of text. Short titles are found better with `query: ` (table in docs/encoding.md)."""

CARD = """---
license: mit
base_model: intfloat/multilingual-e5-small
---
# multilingual-e5-small

Converted by Chaja from 4-bit weights to fp32. https://huggingface.co/intfloat/multilingual-e5-small is the original.
"""

LAYER_PRODUCTS = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "fi": "intermediate.dense",
    "fo": "output.dense",
}
LAYER_NORMS = {"aln": "attention.output.LayerNorm", "oln": "output.LayerNorm"}


def convert(content: bytes, directory: Path) -> None:
    """Writes the model of a data file into an empty directory.

    Raises:
        ExportError: The data file is damaged.
        OSError: The directory cannot be written.
    """
    data = DataFile(content)
    _write_weights(dict(_tensors(data)), directory / "model.safetensors")
    tokenizer_json = build_tokenizer(data.vocabulary, directory).to_str()
    (directory / "tokenizer.json").write_text(tokenizer_json, encoding="utf-8")
    (directory / "README.md").write_text(CARD, encoding="utf-8")
    for name, settings in _settings(data).items():
        path = directory / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(settings, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    (directory / "2_Normalize").mkdir()


def _tensors(data: DataFile) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Yields the weights under transformers' names."""
    sizes = data.sizes
    hidden, inner = sizes.hidden, sizes.intermediate
    yield "embeddings.word_embeddings.weight", data.tensor("emb.word", sizes.vocabulary, hidden)
    yield "embeddings.position_embeddings.weight", data.tensor("emb.pos", sizes.positions, hidden)
    yield "embeddings.token_type_embeddings.weight", data.tensor("emb.type", sizes.token_types, hidden)
    yield "embeddings.LayerNorm.weight", data.tensor("emb.ln.w", hidden)
    yield "embeddings.LayerNorm.bias", data.tensor("emb.ln.b", hidden)
    widths = {"fi": (inner, hidden), "fo": (hidden, inner)}
    for layer in range(sizes.layers):
        for short, name in LAYER_PRODUCTS.items():
            rows, columns = widths.get(short, (hidden, hidden))
            yield f"encoder.layer.{layer}.{name}.weight", data.tensor(f"l{layer}.{short}.w", rows, columns)
            yield f"encoder.layer.{layer}.{name}.bias", data.tensor(f"l{layer}.{short}.b", rows)
        for short, name in LAYER_NORMS.items():
            yield f"encoder.layer.{layer}.{name}.weight", data.tensor(f"l{layer}.{short}.w", hidden)
            yield f"encoder.layer.{layer}.{name}.bias", data.tensor(f"l{layer}.{short}.b", hidden)


def _write_weights(weights: dict[str, NDArray[np.float32]], path: Path) -> None:
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    try:
        save_file(weights, path, metadata={"format": "pt"})
    except SafetensorError as error:  # It has the system's message, but is not an OSError.
        raise OSError(errno.EIO, str(error)) from error


def _settings(data: DataFile) -> dict[str, Any]:
    """Returns the JSON files of the directory."""
    sizes, vocabulary = data.sizes, data.vocabulary
    names = [token for token, _ in vocabulary.tokens]
    special = {
        "bos_token": names[vocabulary.first],
        "eos_token": names[vocabulary.last],
        "cls_token": names[vocabulary.first],
        "sep_token": names[vocabulary.last],
        "pad_token": names[vocabulary.padding],
        "unk_token": names[vocabulary.unknown],
    }
    if MASK in names:
        special["mask_token"] = MASK
    modules = {"": "Transformer", "1_Pooling": "Pooling", "2_Normalize": "Normalize"}
    return {
        "config.json": {
            "architectures": ["BertModel"],
            "model_type": "bert",
            "transformers_version": "4.57.1",  # Without it transformers warns of a faulty Mistral tokenizer.
            "hidden_size": sizes.hidden,
            "num_hidden_layers": sizes.layers,
            "num_attention_heads": sizes.heads,
            "intermediate_size": sizes.intermediate,
            "vocab_size": sizes.vocabulary,
            "max_position_embeddings": sizes.positions,
            "type_vocab_size": sizes.token_types,
            "layer_norm_eps": sizes.epsilon,
            "hidden_act": "gelu",
            "bos_token_id": vocabulary.first,
            "eos_token_id": vocabulary.last,
            "pad_token_id": vocabulary.padding,
        },
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": sizes.positions,
            "model_input_names": ["input_ids", "attention_mask"],
            **special,
        },
        "modules.json": [
            {"idx": number, "name": str(number), "path": path, "type": f"sentence_transformers.models.{kind}"}
            for number, (path, kind) in enumerate(modules.items())
        ],
        "sentence_bert_config.json": {"max_seq_length": sizes.positions, "do_lower_case": False},
        "1_Pooling/config.json": {"word_embedding_dimension": sizes.hidden, "pooling_mode_mean_tokens": True},
        "config_sentence_transformers.json": {
            "prompts": PROMPTS,
            "default_prompt_name": None,
            "similarity_fn_name": "cosine",
        },
    }
