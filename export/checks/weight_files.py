"""Checks that the files of a model's weights are whole. Files of the hub are whole already."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from export.checks.model_files import ModelFiles, refuse_pointer
from export.errors import ExportError, library_errors
from export.text import some_of

WEIGHT_FILES = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
"""The files of weights, in the order in which transformers looks for them. An index names the files of its parts."""


def check_weight_files(files: ModelFiles, folder: str) -> None:
    """Raises ExportError if a file of weights of the module in `folder` is missing, empty, cut short or damaged.

    A model of the hub is not checked.
    """
    if files.directory is None:
        return
    name = next((name for name in WEIGHT_FILES if (files.directory / folder / name).is_file()), None)
    if name is None:
        raise ExportError(f"{files.place} has no weights: neither {folder}model.safetensors nor pytorch_model.bin")
    if not name.endswith(".json"):
        _names(files.directory / folder / name)
        return
    index = files.settings(f"{folder}{name}") or {}
    parts = index.get("weight_map")
    if not isinstance(parts, dict):
        raise ExportError(f"{files.place}/{folder}{name} is damaged: it has no weight_map")
    if not all(isinstance(part, str) for part in parts.values()):
        raise ExportError(f"{files.place}/{folder}{name} is damaged: its weight_map must map weights to file names")
    for part in sorted(set(parts.values())):
        path = files.directory / folder / part
        if not path.is_file():
            raise ExportError(f"{files.place} lacks {part}, a part of its weights that {name} names")
        absent = {weight for weight, place in parts.items() if place == part} - set(_names(path))
        if absent:
            raise ExportError(f"{path} lacks weights that {name} places there: {some_of(sorted(absent))}")


def _names(path: Path) -> Collection[str]:
    """Returns the names of the weights in a file."""
    import pickle

    import torch
    from safetensors import safe_open

    refuse_pointer(path)
    if not path.stat().st_size:
        raise ExportError(f"{path} is empty: download it again")
    with library_errors(f"{path} is cut short or damaged"):
        if path.suffix == ".safetensors":
            with safe_open(path, framework="numpy") as opened:
                return list(opened.keys())
        try:
            return list(torch.load(path, map_location="meta", weights_only=True))
        except pickle.UnpicklingError:
            raise ExportError(
                f"{path} is damaged, or holds Python objects besides weights, which the exporter never loads: save the "
                "weights as safetensors"
            ) from None
