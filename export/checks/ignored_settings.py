"""Rejects settings in config.json that the installed transformers ignores: the vectors would be of another model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from export.errors import ExportError

LAYER_TYPES = {
    "full_attention": ("rope_theta", "global_rope_theta"),
    "sliding_attention": ("rope_local_base_freq", "local_rope_theta"),
}
"""Types of layers in `rope_parameters`, and what transformers 4 calls their theta."""

READS_BIDIRECTIONAL = ("gemma3", "gemma3_text")


def check_ignored_settings(config: dict[str, Any], where: str) -> None:
    """Raises ExportError if transformers would ignore a setting that changes the vectors.

    Args:
        config: The content of config.json.
        where: Its path, for the message.
    """
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

    if config["model_type"] not in CONFIG_MAPPING_NAMES:  # Opening the model says so.
        return
    _check_rope(config, where)
    _check_attention(config, where)


def _check_rope(config: dict[str, Any], where: str) -> None:
    """Raises ExportError if `rope_parameters`, which transformers 5 writes, differs from what transformers 4 uses."""
    import transformers

    parameters = config.get("rope_parameters")
    if not parameters:
        return
    try:
        if not isinstance(parameters, dict):
            raise TypeError
        used = transformers.AutoConfig.for_model(**config)
        different = [name for name, equal in _compared(parameters, used) if not equal]
    except Exception:  # The values are of wrong types, or contradict each other.
        different = ["rope_parameters"]
    if different:
        writer = config.get("transformers_version", "5")
        raise ExportError(
            f"{where} has rope_parameters (transformers {writer} wrote it), which transformers "
            f"{transformers.__version__} ignores: save the model with transformers below 5, or write their "
            f"{', '.join(different)} into {where} itself"
        )


def _compared(parameters: dict[str, Any], used: Any) -> Iterator[tuple[str, bool]]:
    """Yields the names of rotary parameters as transformers 4 has them, and whether it uses the given values."""
    layers = {kind: given for kind, given in parameters.items() if isinstance(given, dict)}
    for kind, given in (layers or {"full_attention": parameters}).items():
        names = LAYER_TYPES.get(kind, ())
        scaling = {} if kind == "sliding_attention" else getattr(used, "rope_scaling", None) or {}
        for name, value in given.items():
            if name == "rope_theta":
                known = [each for each in names if getattr(used, each, None) is not None]
                yield (known or [name])[0], any(getattr(used, each) == value for each in known)
            elif name in ("rope_type", "type"):
                actual = scaling.get("rope_type", scaling.get("type", "default"))
                yield "rope_scaling", value == actual
            elif hasattr(used, name):
                yield name, getattr(used, name) == value
            elif value is not None:
                yield "rope_scaling", scaling.get(name) == value


def _check_attention(config: dict[str, Any], where: str) -> None:
    """Raises ExportError if a decoder states attention in both directions, and transformers has only causal one."""
    import transformers
    from transformers.models.auto import modeling_auto

    kind = config["model_type"]
    decoder = (
        kind in modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
        and kind not in modeling_auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES
    )
    if not decoder:
        return
    both = bool(config.get("use_bidirectional_attention"))
    if both and kind in READS_BIDIRECTIONAL:
        return
    if both or config.get("is_causal") is False:
        setting = "use_bidirectional_attention" if both else "is_causal: false"
        raise ExportError(
            f"{where} has {setting}, which transformers {transformers.__version__} ignores in a {kind}: its vectors "
            "would be those of causal attention, so the model cannot be exported"
        )
