"""Checks all files of a model that are read before it is opened."""

from __future__ import annotations

from typing import Any

from export.checks.model_files import ModelFiles
from export.checks.modules import check_modules, folder_of
from export.checks.own_code import refuse_own_code
from export.checks.settings import check_settings
from export.checks.tokenizer_files import check_tokenizer_files
from export.checks.weight_files import check_weight_files


def check_files(files: ModelFiles) -> tuple[str, dict[str, Any]]:
    """Returns the folder of the transformers model in the model's directory, and the content of its config.json.

    Raises:
        ExportError: A file is missing or damaged, or the model is of another kind or brings code.
    """
    folder = check_modules(files)
    config = check_settings(files, folder)
    refuse_own_code(files, folder)
    check_tokenizer_files(files, folder)
    check_weight_files(files, folder)
    for module in files.modules() or ():
        if module["type"].endswith((".Dense", ".LayerNorm")):
            check_weight_files(files, folder_of(module))
    return folder, config
