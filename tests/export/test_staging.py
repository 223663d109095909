import contextlib
import json
import shutil
from pathlib import Path

import pytest

from export.errors import ExportError
from export.staging import staged


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_a_bundle_appears_only_when_it_is_complete(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "bundle"
    with staged(out) as directory:
        (directory / "a").write_text("new")
        assert not out.exists()
    assert names(out) == ["a"]
    assert names(tmp_path / "deep") == ["bundle"]


def test_an_older_bundle_is_replaced_even_through_a_link(tmp_path: Path, tiny_bundle: Path) -> None:
    shutil.copytree(tiny_bundle, tmp_path / "bundle")
    (tmp_path / "link").symlink_to(tmp_path / "bundle")
    for out in (tmp_path / "bundle", tmp_path / "link"):
        shutil.rmtree(tmp_path / "bundle")
        shutil.copytree(tiny_bundle, tmp_path / "bundle")
        with staged(out) as directory:
            (directory / "a").write_text("new")
        assert names(tmp_path / "bundle") == ["a"]
    assert (tmp_path / "link").is_symlink()


def test_a_damaged_bundle_of_another_version_is_replaced_too(tmp_path: Path, tiny_bundle: Path) -> None:
    out = Path(shutil.copytree(tiny_bundle, tmp_path / "bundle"))
    (out / "query/model.onnx").write_text("damaged")
    manifest = json.loads((out / "manifest.json").read_text())
    (out / "manifest.json").write_text(json.dumps({"schema_version": 99, "files": manifest["files"]}))
    with staged(out) as directory:
        (directory / "a").write_text("new")
    assert names(out) == ["a"]


def test_a_failure_leaves_the_older_bundle_and_nothing_else(tmp_path: Path, tiny_bundle: Path) -> None:
    out = Path(shutil.copytree(tiny_bundle, tmp_path / "bundle"))
    before = names(out)
    with contextlib.suppress(RuntimeError), staged(out) as directory:
        (directory / "a").write_text("half")
        raise RuntimeError
    assert names(out) == before
    assert names(tmp_path) == ["bundle"]


@pytest.mark.parametrize("stranger", ["thesis.txt", "src/app.js"])
def test_a_directory_with_other_files_is_refused(tmp_path: Path, tiny_bundle: Path, stranger: str) -> None:
    out = Path(shutil.copytree(tiny_bundle, tmp_path / "bundle"))
    (out / stranger).parent.mkdir(exist_ok=True)
    (out / stranger).write_text("precious")
    with pytest.raises(ExportError, match="exists and is not a bundle"), staged(out):
        pass
    assert (out / stranger).read_text() == "precious"


def test_another_programs_manifest_is_refused(tmp_path: Path) -> None:
    out = tmp_path / "webapp"
    out.mkdir()
    (out / "manifest.json").write_text('{"name": "my app"}')
    with pytest.raises(ExportError, match="exists and is not a bundle"), staged(out):
        pass
    assert names(out) == ["manifest.json"]


def test_a_swap_that_fails_halfway_restores_the_older_bundle(
    tmp_path: Path, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = Path(shutil.copytree(tiny_bundle, tmp_path / "bundle"))
    before = names(out)
    rename = Path.rename

    def rename_once(self: Path, target: Path) -> Path:
        if self.name == "fresh":
            raise KeyboardInterrupt
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", rename_once)
    with pytest.raises(KeyboardInterrupt), staged(out):
        pass
    assert names(out) == before
    assert names(tmp_path) == ["bundle"]


def test_a_refused_output_path_leaves_no_folders(tmp_path: Path) -> None:
    for out in (tmp_path / "a" / "b" / ("x" * 300), Path("/proc/x/bundle")):
        with pytest.raises(ExportError, match="cannot write the bundle"), staged(out):
            pass
    assert names(tmp_path) == []


def test_a_failure_removes_the_folders_created_for_it(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    with pytest.raises(ZeroDivisionError), staged(tmp_path / "mine" / "new" / "deep" / "bundle"):
        raise ZeroDivisionError
    assert names(tmp_path / "mine") == []
