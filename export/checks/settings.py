"""Checks the settings of a transformers model and its tokenizer, before the weights are read."""

from __future__ import annotations

from typing import Any

from export.checks.ignored_settings import check_ignored_settings
from export.checks.model_files import ModelFiles
from export.errors import ExportError

CONFIG_FILE = "config.json"

ADAPTER_FILE = "adapter_config.json"

PROMPTS_FILE = "config_sentence_transformers.json"

SENTENCE_FILE = "sentence_bert_config.json"

TOKENIZER_FILES = ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")

TYPES: dict[str, dict[str, tuple[type, ...]]] = {
    CONFIG_FILE: {"architectures": (list,), "max_position_embeddings": (int,)},
    SENTENCE_FILE: {"max_seq_length": (int,)},
    "tokenizer_config.json": {"model_max_length": (int, float)},
}
"""The types of settings whose use would fail otherwise without naming them; each may be null, too."""

TYPE_NAMES = {list: "a list", int: "a whole number", float: "a number"}


def check_settings(files: ModelFiles, folder: str) -> dict[str, Any]:
    """Checks the settings of the transformers model in `folder`; returns the content of its config.json.

    Raises:
        ExportError: A file is missing or damaged, or the settings contradict each other.
    """
    config = files.settings(f"{folder}{CONFIG_FILE}")
    if config is None:
        files.require_hub()
        raise ExportError(f"{files.place} has no {folder}{CONFIG_FILE}, the settings of its transformers model")
    if not isinstance(config.get("model_type"), str):
        raise ExportError(f"{files.place}/{folder}{CONFIG_FILE} names no architecture: it has no model_type")
    quantization = config.get("quantization_config") or {}
    method = quantization.get("quant_method") if isinstance(quantization, dict) else quantization
    if method is not None:
        raise ExportError(
            f"{files.place} is already quantized ({method}): export the original, in float32 or half precision"
        )
    if files.find(f"{folder}{ADAPTER_FILE}") is not None:
        raise ExportError(f"{files.place} is an adapter ({ADAPTER_FILE}): merge it into its model, and export that")
    padding, vocabulary = config.get("pad_token_id"), config.get("vocab_size")
    if isinstance(padding, int) and isinstance(vocabulary, int) and padding >= vocabulary:
        raise ExportError(
            f"{files.place}/{folder}{CONFIG_FILE} has pad_token_id {padding}, which is not below its vocab_size "
            f"{vocabulary}"
        )
    check_ignored_settings(config, f"{files.place}/{folder}{CONFIG_FILE}")
    for name in (CONFIG_FILE, SENTENCE_FILE, *TOKENIZER_FILES):
        _check_types(files, f"{folder}{name}", TYPES.get(name, {}))
    prompts = (files.settings(PROMPTS_FILE) or {}).get("prompts") or {}
    if not isinstance(prompts, dict) or not all(isinstance(each, str | None) for each in prompts.values()):
        raise ExportError(f"{files.place}/{PROMPTS_FILE} is damaged: prompts must map names to texts")
    return config


def _check_types(files: ModelFiles, name: str, types: dict[str, tuple[type, ...]]) -> None:
    """Raises ExportError if a file of settings, which may be missing, is damaged or has a setting of a wrong type."""
    settings = files.settings(name) or {}
    for key, allowed in types.items():
        if settings.get(key) is not None and type(settings[key]) not in allowed:
            raise ExportError(f"{files.place}/{name} has {key} {settings[key]!r}: it must be {TYPE_NAMES[allowed[-1]]}")
