"""Models that bring code, which writes a file if it runs."""

import io
import json
import pickle
import sys
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import pytest

from tests.export.checks.damage import assert_refused, set_in, to_bin
from tests.export.command_line import assert_one_line, export
from tests.export.tiny_models import dense_model, dpr_encoder, plain_bert, sentence_transformer

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

NEVER = "needs its own Python code"


@pytest.fixture(autouse=True)
def agreeing_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Agrees to everything on the terminal: nothing may ask there."""
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n" * 9))


def add_code(model: Path, name: str) -> Path:
    """Adds code to a model; returns the file that the code writes."""
    ran = model.with_name("ran")
    (model / f"{name}.py").write_text(f"open({str(ran)!r}, 'w')\n")
    return ran


@pytest.mark.parametrize("model_type", ["bert", "marvellous"])
def test_an_architecture_from_the_model_is_refused(tmp_path: Path, model_type: str) -> None:
    model = plain_bert(tmp_path / "model")
    ran = add_code(model, "code")
    set_in(model / "config.json", model_type=model_type, auto_map={"AutoConfig": "code.C", "AutoModel": "code.M"})
    assert_refused(model, f"{model} {NEVER} (auto_map in config.json), which the exporter never runs")
    assert not ran.exists()


def test_a_tokenizer_from_the_model_is_refused(tmp_path: Path) -> None:
    for model in (plain_bert(tmp_path / "model"), dpr_encoder(tmp_path / "dpr")):
        ran = add_code(model, "code")
        set_in(model / "tokenizer_config.json", auto_map={"AutoTokenizer": ["code.T", None]}, tokenizer_class="T")
        assert_refused(model, f"{NEVER} (auto_map in tokenizer_config.json)")
        assert not ran.exists()


@pytest.mark.parametrize("place", [0, 1])
def test_modules_from_the_model_are_refused(tmp_path: Path, place: int) -> None:
    model = sentence_transformer(tmp_path / "model", pooling="mean", similarity="cosine", prompts={})
    ran = add_code(model, "code")
    modules = json.loads((model / "modules.json").read_text())
    modules[place]["type"] = "code.Module"
    (model / "modules.json").write_text(json.dumps(modules))
    assert_refused(model, f"{NEVER} (code.Module in modules.json)")
    assert not ran.exists()


def test_modules_that_name_others_are_refused(tmp_path: Path) -> None:
    """A Router's settings name the classes of its modules."""
    model = sentence_transformer(tmp_path / "model", pooling="mean", similarity="cosine", prompts={})
    modules = json.loads((model / "modules.json").read_text())
    modules[0]["type"] = "sentence_transformers.models.Router"
    (model / "modules.json").write_text(json.dumps(modules))
    assert_refused(model, "a model of Router, Pooling: it must be a Transformer followed by Pooling")


def test_an_activation_from_the_model_is_refused(tmp_path: Path) -> None:
    """sentence-transformers would silently use tanh instead."""
    model = dense_model(tmp_path / "model")
    ran = add_code(model, "code")
    set_in(model / "2_Dense/config.json", activation_function="code.Activation")
    assert_refused(model, f"{NEVER} (activation_function code.Activation in 2_Dense/config.json)")
    assert not ran.exists()


class Opening:
    """Opens a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return open, (str(self._path), "w")


def test_weights_with_python_objects_are_refused(tmp_path: Path) -> None:
    model = plain_bert(tmp_path / "model")
    ran = tmp_path / "ran"
    binary = to_bin(model)
    binary.write_bytes(pickle.dumps({"embeddings": Opening(ran)}))
    assert_refused(model, f"{binary} is damaged, or holds Python objects besides weights, which the exporter never")
    assert not ran.exists()


def test_a_model_of_the_hub_is_refused_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repository = tmp_path / "models--owner--model"
    snapshot = repository / "snapshots" / ("a" * 40)
    (repository / "refs").mkdir(parents=True)
    (repository / "refs/main").write_text(snapshot.name)
    plain_bert(snapshot)
    absent = repository / ".no_exist" / snapshot.name
    absent.mkdir(parents=True)
    for name in ("modules.json", "config_sentence_transformers.json"):
        (absent / name).touch()
    ran = add_code(snapshot, "code")
    set_in(snapshot / "config.json", auto_map={"AutoConfig": "code.C", "AutoModel": "code.M"})
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    run = export("--model", "owner/model", "--out", tmp_path / "bundle")
    assert_one_line(run, f"owner/model {NEVER} (auto_map in config.json)")
    run = export("--model", "owner/other", "--out", tmp_path / "bundle")
    assert_one_line(run, "which is not a local directory and could not be loaded from the hub: ")
    assert not ran.exists()
