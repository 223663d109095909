"""A model of the hub of which only a part is in the cache, while the hub cannot be reached."""

from pathlib import Path

import huggingface_hub.constants
import pytest

from export.checks.model_files import ModelFiles
from export.errors import ExportError

COMMIT = "a" * 40


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Makes the cache of a model with a config.json only; returns its directory."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    place = tmp_path / "models--owner--name"
    for name, content in (("refs/main", COMMIT), (f"snapshots/{COMMIT}/config.json", "{}")):
        (place / name).parent.mkdir(parents=True)
        (place / name).write_text(content)
    return place


@pytest.mark.parametrize("name", ["modules.json", "config_sentence_transformers.json"])
def test_a_file_of_which_the_cache_knows_nothing_is_refused(cache: Path, name: str) -> None:
    files = ModelFiles("owner/name")
    assert files.settings("config.json") == {}
    with pytest.raises(
        ExportError, match=f"^cannot open the model owner/name, .*: the cache has no {name}, and the hub"
    ):
        files.find(name)
    absent = cache / ".no_exist" / COMMIT / name
    absent.parent.mkdir(parents=True)
    absent.touch()
    assert ModelFiles("owner/name").find(name) is None


def test_other_files_may_be_absent(cache: Path) -> None:
    assert cache.is_dir()
    assert ModelFiles("owner/name").find("added_tokens.json") is None
