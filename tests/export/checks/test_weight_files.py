from pathlib import Path

import pytest
import transformers

from tests.export.checks.damage import (
    LFS_POINTER,
    WEIGHTS,
    assert_exported,
    assert_refused,
    change_weights,
    cut,
    to_bin,
)
from tests.export.tiny_models import dense_model, layer_norm_model, plain_bert

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


def in_parts(model: Path) -> list[Path]:
    """Splits a model's weights into several files."""
    opened = transformers.AutoModel.from_pretrained(model)
    (model / WEIGHTS).unlink()
    opened.save_pretrained(model, max_shard_size="20KB")
    return sorted(model.glob("model-*.safetensors"))


def test_git_lfs_pointers_are_named(tmp_path: Path) -> None:
    model = plain_bert(tmp_path / "model")
    pointer = "is a Git LFS pointer, not the file itself: run git lfs pull in its directory"
    binary = to_bin(model)
    binary.write_text(LFS_POINTER)
    assert_refused(model, f"{binary} {pointer}")
    (model / WEIGHTS).write_text(LFS_POINTER)
    assert_refused(model, f"{model / WEIGHTS} {pointer}")
    parts = in_parts(plain_bert(tmp_path / "parts"))
    parts[1].write_text(LFS_POINTER)
    assert_refused(parts[1].parent, f"{parts[1]} {pointer}")
    dense = dense_model(tmp_path / "dense")
    (dense / "2_Dense" / WEIGHTS).write_text(LFS_POINTER)
    assert_refused(dense, f"{dense / '2_Dense' / WEIGHTS} {pointer}")


def test_a_pointer_of_a_file_that_is_not_read_does_no_harm(tmp_path: Path) -> None:
    model = plain_bert(tmp_path / "model")
    for name in ("pytorch_model.bin", "tf_model.h5", "vocab.txt"):
        (model / name).write_text(LFS_POINTER)
    assert_exported(model)


def test_files_that_are_cut_short_or_empty_are_named(tmp_path: Path) -> None:
    model = plain_bert(tmp_path / "model")
    weights = model / WEIGHTS
    cut(weights)
    assert_refused(model, f"{weights} is cut short or damaged: ")
    weights.write_bytes(b"")
    assert_refused(model, f"{weights} is empty")
    binary = to_bin(plain_bert(tmp_path / "binary"))
    cut(binary)
    assert_refused(binary.parent, f"{binary} is cut short or damaged: ")
    binary.write_bytes(b"")
    assert_refused(binary.parent, f"{binary} is empty")


def test_a_model_without_weights_is_refused(tmp_path: Path) -> None:
    model = plain_bert(tmp_path / "model")
    (model / WEIGHTS).rename(model / "tf_model.h5")
    assert_refused(model, "has no weights: neither model.safetensors nor pytorch_model.bin")


def test_a_missing_part_and_a_weight_that_its_part_lacks_are_named(tmp_path: Path) -> None:
    parts = in_parts(plain_bert(tmp_path / "one"))
    parts[1].unlink()
    assert_refused(parts[1].parent, f"lacks {parts[1].name}, a part of its weights")
    parts = in_parts(plain_bert(tmp_path / "other"))
    model, name = parts[1].parent, parts[1].name
    change_weights(model, lambda weights: dict(sorted(weights.items())[1:]), name)
    assert_refused(model, f"{parts[1]} lacks weights that model.safetensors.index.json places there: ")
    (model / "model.safetensors.index.json").write_text("{}")
    assert_refused(model, "model.safetensors.index.json is damaged: it has no weight_map")
    (model / "model.safetensors.index.json").write_text('{"weight_map": {"a": ["b"]}}')
    assert_refused(model, "model.safetensors.index.json is damaged: its weight_map must map weights to file names")


def test_a_layer_norm_after_the_pooling_is_checked(tmp_path: Path) -> None:
    model = layer_norm_model(tmp_path / "model")
    assert_exported(model)
    weights, settings = model / "2_LayerNorm" / WEIGHTS, model / "2_LayerNorm/config.json"
    weights.write_text(LFS_POINTER)
    assert_refused(model, f"{weights} is a Git LFS pointer")
    settings.write_text("{}")
    assert_refused(model, f"{model} has no dimension in 2_LayerNorm/config.json")
    settings.write_text(LFS_POINTER)
    assert_refused(model, f"{settings} is a Git LFS pointer")
    settings.unlink()
    assert_refused(model, f"{model} has no 2_LayerNorm/config.json, the settings of its module LayerNorm")
