"""Changes files of small models, as mishaps and other programs do."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

from tests.export.command_line import TINY_CORPUS, assert_one_line, export

WEIGHTS = "model.safetensors"
LFS_POINTER = (
    "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22e\nsize 471153208\n"
)

Tensors = dict[str, torch.Tensor]


def set_in(path: Path, **values: Any) -> None:
    """Sets values in a JSON file."""
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def change_weights(model: Path, change: Callable[[Tensors], Tensors], name: str = WEIGHTS) -> Path:
    """Rewrites a file of weights."""
    weights = change(safetensors.torch.load_file(model / name))
    safetensors.torch.save_file(weights, model / name, metadata={"format": "pt"})
    return model


def to_bin(model: Path) -> Path:
    """Replaces a model's weights with the same in PyTorch's format; returns their file."""
    path = model / "pytorch_model.bin"
    torch.save(safetensors.torch.load_file(model / WEIGHTS), path)
    (model / WEIGHTS).unlink()
    return path


def cut(path: Path) -> None:
    """Cuts a file in the middle."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def assert_exported(model: Path, *flags: str | Path) -> None:
    """Fails unless the model becomes a bundle."""
    out = model.with_name(f"{model.name}-bundle")
    run = export("--model", model, "--out", out, "--eval", TINY_CORPUS, "--force", "--center", "off", *flags)
    assert run.returncode == 0, run.stderr
    assert (out / "manifest.json").is_file()


def assert_refused(model: Path, *messages: str) -> None:
    """Fails unless the export ends with one line that has the messages, and writes nothing."""
    out = model.with_name(f"{model.name}-refused")
    run = export("--model", model, "--out", out, "--eval", TINY_CORPUS, "--force")
    for message in messages:
        assert_one_line(run, message)
    assert not out.exists()
