from typing import Any

import pytest

from export.checks.ignored_settings import check_ignored_settings
from export.errors import ExportError

GEMMA = {
    "full_attention": {"rope_type": "default", "rope_theta": 1_000_000.0},
    "sliding_attention": {"rope_type": "default", "rope_theta": 10_000.0},
}
LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}


@pytest.mark.parametrize(
    ("config", "names"),
    [
        ({"model_type": "qwen3", "rope_parameters": {"rope_theta": 1e6, "rope_type": "default"}}, "rope_theta"),
        ({"model_type": "llama", "rope_parameters": {"rope_theta": 1e4, **LLAMA3}}, "rope_scaling"),
        ({"model_type": "gemma3_text", "rope_parameters": GEMMA | {"full_attention": {"rope_theta": 5}}}, "rope_theta"),
        (
            {"model_type": "modernbert", "rope_parameters": {"sliding_attention": {"rope_theta": 7}}},
            "local_rope_theta",
        ),
        ({"model_type": "qwen3", "rope_parameters": "default"}, "rope_parameters"),
    ],
)
def test_rotary_parameters_that_are_ignored_are_refused(config: dict[str, Any], names: str) -> None:
    expected = r"x/config.json has rope_parameters \(transformers 5.0.1 wrote it\), which transformers 4\.\S+ ignores: "
    with pytest.raises(ExportError, match=f"^{expected}save the model with transformers below 5, or write .*{names}"):
        check_ignored_settings(config | {"transformers_version": "5.0.1"}, "x/config.json")


@pytest.mark.parametrize(
    "config",
    [
        {"model_type": "qwen3", "rope_parameters": {"rope_theta": 1e4, "rope_type": "default"}},
        {"model_type": "qwen3", "rope_parameters": {"rope_theta": 1e6, "rope_type": "default"}, "rope_theta": 1e6},
        {"model_type": "llama", "rope_parameters": {"rope_theta": 1e4, **LLAMA3}, "rope_scaling": LLAMA3},
        {"model_type": "gemma3_text", "rope_parameters": GEMMA},
        {"model_type": "qwen3", "rope_theta": 1e6},
        {"model_type": "bert"},
        {"model_type": "marvellous", "rope_parameters": {"rope_theta": 1e6}},
    ],
)
def test_rotary_parameters_that_transformers_would_use_anyway_are_accepted(config: dict[str, Any]) -> None:
    check_ignored_settings(config, "config.json")


@pytest.mark.parametrize("kind", ["qwen2", "llama", "gemma2", "mistral"])
@pytest.mark.parametrize("setting", [{"is_causal": False}, {"use_bidirectional_attention": True}])
def test_attention_in_both_directions_of_a_decoder_is_refused(kind: str, setting: dict[str, bool]) -> None:
    with pytest.raises(ExportError, match=f"config.json has {next(iter(setting))}.* ignores in a {kind}: "):
        check_ignored_settings({"model_type": kind, **setting}, "config.json")


def test_attention_that_transformers_has_is_accepted() -> None:
    for setting in ({"is_causal": False}, {"use_bidirectional_attention": True}):
        check_ignored_settings({"model_type": "bert", **setting}, "config.json")
    check_ignored_settings({"model_type": "gemma3_text", "use_bidirectional_attention": True}, "config.json")
    check_ignored_settings({"model_type": "qwen2", "is_causal": True}, "config.json")
