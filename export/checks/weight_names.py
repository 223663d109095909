"""Rejects weights that do not fit the architecture: transformers would fill in random ones, or leave some out."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from export.errors import ExportError
from export.text import some_of

DERIVED = ("position_ids", "token_type_ids", "inv_freq")
"""Tables that older versions of transformers stored with the weights, and that newer ones compute."""


@contextlib.contextmanager
def fitting_weights(origin: str) -> Iterator[None]:
    """Raises ExportError if a transformers model that is opened inside the block has other weights than it needs.

    sentence-transformers opens models without passing on the report of transformers, so this replaces
    `PreTrainedModel.from_pretrained` meanwhile.
    """
    from transformers import PreTrainedModel

    original = PreTrainedModel.__dict__["from_pretrained"]

    def checked(cls: Any, *arguments: Any, **options: Any) -> Any:
        reporting = {"output_loading_info": True, "ignore_mismatched_sizes": True}
        model, report = original.__get__(None, cls)(*arguments, **options | reporting)
        check_report(model, report, origin)
        return model

    PreTrainedModel.from_pretrained = classmethod(checked)
    try:
        yield
    finally:
        PreTrainedModel.from_pretrained = original


def check_report(model: Any, report: dict[str, Any], origin: str) -> None:
    """Raises ExportError if transformers' report on loading names weights that matter.

    An unused pooler may be missing or superfluous. A task's head, which the encoder does not have, is superfluous.

    Args:
        model: The transformers model.
        report: The report of `from_pretrained`.
        origin: The public name of the model.
    """
    buffers = {name for name, _ in model.named_buffers()}
    missing = [name for name in report["missing_keys"] if not _unused(name) and name not in buffers]
    own = {name.split(".")[0] for name in model.state_dict()}
    superfluous = [name for name in report["unexpected_keys"] if not _unused(name) and name.split(".")[0] in own]
    others = [] if not missing else [name for name in report["unexpected_keys"] if name not in superfluous]
    mismatched = [name for name in report["mismatched_keys"] if not _unused(name)]
    problems = []
    if missing:
        problems.append(f"missing weights: {some_of(missing)}")
    if superfluous or others:
        problems.append(f"unexpected weights: {some_of([*superfluous, *others])}")
    if mismatched:
        problems.append(f"weights of another shape: {_shapes(model, mismatched)}")
    if problems:
        raise ExportError(f"the weights of {origin} do not fit its config.json: {'; '.join(problems)}")


def _unused(name: str) -> bool:
    parts = name.split(".")
    return "pooler" in parts or parts[-1] in DERIVED


def _shapes(model: Any, names: list[str]) -> str:
    """Returns names of weights with the shapes that the architecture needs, and vocab_size if it is involved."""
    needed = model.state_dict()
    shapes = some_of([f"{name} is not {list(needed[name].shape)}" for name in sorted(names)])
    words = model.get_input_embeddings().weight
    wrong_vocabulary = any(needed[name].data_ptr() == words.data_ptr() for name in names)
    return f"{shapes} (vocab_size is {model.config.vocab_size})" if wrong_vocabulary else shapes
