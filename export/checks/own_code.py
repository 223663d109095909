"""Rejects models that bring Python code: the exporter never runs it, and never asks whether to."""

from __future__ import annotations

from export.checks.model_files import ModelFiles
from export.errors import ExportError

SETTINGS_WITH_CODE = ("config.json", "tokenizer_config.json", "processor_config.json", "preprocessor_config.json")


def refuse_own_code(files: ModelFiles, folder: str) -> None:
    """Raises ExportError if the settings of the transformers model in `folder` name code of the model.

    `auto_map` replaces transformers' classes by those of the repository. Ignoring it may give other vectors.
    """
    for name in SETTINGS_WITH_CODE:
        if (files.settings(f"{folder}{name}") or {}).get("auto_map"):
            raise ExportError(
                f"{files.place} needs its own Python code (auto_map in {folder}{name}), which the exporter never runs; "
                "export a model whose architecture transformers has"
            )
