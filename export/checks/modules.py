"""Checks modules.json of a sentence-transformers model, and the settings of its modules."""

from __future__ import annotations

import re
from typing import Any

from export.checks.model_files import ModelFiles
from export.errors import ExportError

LIBRARY = "sentence_transformers."
"""The classes of the library begin with this; others are code of the model or of another package."""

AFTER_POOLING = ("Dense", "LayerNorm", "Normalize", "Dropout")

WITH_SETTINGS = ("Pooling", "Dense", "LayerNorm")


def check_modules(files: ModelFiles) -> str:
    """Checks the modules of a model; returns the folder of its transformers model, empty or with a slash at the end.

    Raises:
        ExportError: The modules are not a Transformer, Pooling and simple ones after it; or one of them is code of the
            model, or lacks its settings.
    """
    modules = files.modules()
    if modules is None:
        return ""
    for module in modules:
        if not module["type"].startswith(LIBRARY):
            raise ExportError(
                f"{files.place} needs its own Python code ({module['type']} in modules.json), which the exporter never "
                "runs; export a model whose modules sentence-transformers has"
            )
    kind = (files.settings("config_sentence_transformers.json") or {}).get("model_type", "SentenceTransformer")
    if kind != "SentenceTransformer":
        raise ExportError(f"cannot export {files.place}, a model of type {kind}: it must be a SentenceTransformer")
    kinds = [module["type"].rpartition(".")[2] for module in modules]
    if kinds[:2] != ["Transformer", "Pooling"] or not set(kinds[2:]) <= set(AFTER_POOLING):
        raise ExportError(
            f"cannot export {files.place}, a model of {', '.join(kinds) or 'no modules'}: it must be a Transformer "
            f"followed by Pooling, and by nothing else than {', '.join(AFTER_POOLING)}"
        )
    for each, module in zip(kinds, modules, strict=True):
        if each in WITH_SETTINGS:
            _check_settings(files, each, folder_of(module))
    return folder_of(modules[0])


def folder_of(module: dict[str, str]) -> str:
    """Returns the folder of a module's files, empty or with a slash at the end."""
    return f"{module['path'].rstrip('/')}/" if module["path"] else ""


def _check_settings(files: ModelFiles, kind: str, folder: str) -> None:
    from sentence_transformers.sentence_transformer.modules import Pooling

    settings = files.settings(f"{folder}config.json")
    where = f"{folder}config.json"
    if settings is None:
        raise ExportError(f"{files.place} has no {where}, the settings of its module {kind}")
    if kind == "Dense":
        activation = str(settings.get("activation_function", "torch."))
        if not activation.startswith("torch."):  # The library would silently use tanh instead.
            raise ExportError(
                f"{files.place} needs its own Python code (activation_function {activation} in {where}), which the "
                "exporter never runs; use an activation of torch"
            )
        return
    if kind == "LayerNorm":
        if type(settings.get("dimension")) is not int:
            raise ExportError(f"{files.place} has no dimension in {where}, the number of floats in a vector")
        return
    for mode in _pooling_modes(settings):
        if mode not in Pooling.POOLING_MODES:
            known = ", ".join(Pooling.POOLING_MODES)
            raise ExportError(f"{files.place} has the unknown pooling mode {mode} in {where}; known are {known}")
    if not any(isinstance(settings.get(name), int) for name in ("embedding_dimension", "word_embedding_dimension")):
        raise ExportError(f"{files.place} has no embedding_dimension in {where}")


def _pooling_modes(settings: dict[str, Any]) -> list[str]:
    """Returns the modes that the settings of a Pooling name, in `pooling_mode` or with the flags of older versions."""
    given = settings.get("pooling_mode", [])
    flags = [name.removeprefix("pooling_mode_") for name in settings if name.startswith("pooling_mode_")]
    # Only this mode keeps the last word of its flag, as in pooling_mode_cls_token.
    old = [flag if flag == "mean_sqrt_len_tokens" else re.sub("_tokens?$", "", flag) for flag in flags]
    return [*map(str, given if isinstance(given, list) else [given]), *old]
