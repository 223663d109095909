import json
from pathlib import Path
from typing import Any

import pytest

from tests.export.checks.damage import LFS_POINTER, assert_refused, set_in
from tests.export.tiny_models import plain_bert, sentence_transformer

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

SETTINGS = (
    "config.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "modules.json",
    "config_sentence_transformers.json",
    "sentence_bert_config.json",
    "1_Pooling/config.json",
)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return sentence_transformer(tmp_path / "model", pooling="mean", similarity="cosine", prompts={})


@pytest.mark.parametrize("name", SETTINGS)
def test_a_damaged_file_of_settings_is_named(model: Path, name: str) -> None:
    path = model / name
    assert path.is_file()
    path.write_text('{"a": ')
    assert_refused(model, f"{path} cannot be read as JSON: Expecting value: line 1 column 7")
    path.write_bytes(b'{"a": "\xff\xfe"}')
    assert_refused(model, f"{path} cannot be read as JSON: 'utf-8' codec")
    path.write_text('"text"')
    assert_refused(model, f"{path} is damaged: it ")
    path.write_text(LFS_POINTER)
    assert_refused(model, f"{path} is a Git LFS pointer")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("config.json", "has no config.json, the settings of its transformers model"),
        ("tokenizer.json", "has no tokenizer (tokenizer.json)"),
        ("1_Pooling/config.json", "has no 1_Pooling/config.json, the settings of its module Pooling"),
    ],
)
def test_a_missing_file_is_named(model: Path, name: str, message: str) -> None:
    (model / name).unlink()
    assert_refused(model, f"{model} {message}")


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("config.json", {"model_type": None}, "config.json names no architecture: it has no model_type"),
        ("config.json", {"pad_token_id": 99}, "has pad_token_id 99, which is not below its vocab_size 36"),
        ("config.json", {"quantization_config": {"quant_method": "gptq"}}, "is already quantized (gptq)"),
        ("config.json", {"quantization_config": "gptq"}, "is already quantized (gptq)"),
        ("config.json", {"architectures": 5}, "config.json has architectures 5: it must be a list"),
        (
            "config.json",
            {"max_position_embeddings": "40"},
            "has max_position_embeddings '40': it must be a whole number",
        ),
        ("sentence_bert_config.json", {"max_seq_length": "512"}, "has max_seq_length '512': it must be a whole number"),
        ("tokenizer_config.json", {"model_max_length": "512"}, "has model_max_length '512': it must be a number"),
        ("config.json", {"num_attention_heads": 5}, "not a multiple of the number of attention heads (5)"),
        ("config_sentence_transformers.json", {"prompts": {"query": 5}}, "prompts must map names to texts"),
        ("config_sentence_transformers.json", {"prompts": ["q"]}, "prompts must map names to texts"),
        ("config_sentence_transformers.json", {"model_type": "CrossEncoder"}, "a model of type CrossEncoder"),
        ("sentence_bert_config.json", {"max_seq_length": 2}, "at most 2 tokens (max_seq_length, model_max_length)"),
        ("sentence_bert_config.json", {"max_seq_length": -5}, "has no room for a text: at most -5 tokens"),
        ("1_Pooling/config.json", {"pooling_mode": "fancy"}, "has the unknown pooling mode fancy"),
        ("1_Pooling/config.json", {"pooling_mode": ["mean", "fancy"]}, "has the unknown pooling mode fancy"),
        ("1_Pooling/config.json", {"pooling_mode_fancy_tokens": True}, "has the unknown pooling mode fancy"),
        ("1_Pooling/config.json", {"embedding_dimension": None}, "has no embedding_dimension in 1_Pooling/config.json"),
        ("1_Pooling/config.json", {"embedding_dimension": 64}, "of 64 dimensions, but its transformers model gives 32"),
    ],
)
def test_a_setting_that_cannot_be_right_is_named(model: Path, name: str, values: dict[str, Any], message: str) -> None:
    set_in(model / name, **values)
    assert_refused(model, message)


def test_flags_of_older_versions_name_the_pooling(model: Path) -> None:
    flags = ("cls_token", "max_tokens", "mean_tokens", "mean_sqrt_len_tokens", "weightedmean_tokens", "lasttoken")
    old = {"word_embedding_dimension": 32} | {f"pooling_mode_{flag}": flag == "cls_token" for flag in flags}
    (model / "1_Pooling/config.json").write_text(json.dumps(old))
    from export.source import SourceModel

    assert SourceModel(str(model)).pooling == "cls"


def test_half_precision_in_the_settings_does_not_change_the_original(model: Path) -> None:
    from export.source import SourceModel

    for name in ("torch_dtype", "dtype"):
        set_in(model / "sentence_bert_config.json", model_kwargs={name: "bfloat16"})
        opened = SourceModel(str(model)).model
        assert {str(parameter.dtype) for parameter in opened.parameters()} == {"torch.float32"}


def test_an_adapter_is_refused(tmp_path: Path) -> None:
    model = plain_bert(tmp_path / "model")
    (model / "adapter_config.json").write_text("{}")
    assert_refused(model, "is an adapter (adapter_config.json): merge it into its model, and export that")
