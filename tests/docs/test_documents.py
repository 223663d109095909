import re
from pathlib import Path

import pytest

from sample.server_process import REPOSITORY
from tests.docs.documents import documents, prose_of

README_LINES = 150
LINES_OF_TWO_PAGES = 140
FILE = re.compile(r"`([\w.-]+(?:/[\w.-]+)*\.(?:py|proto|json|jsonl|md|yml|toml|txt|c|h|mjs|go|java))`")

every_document = pytest.mark.parametrize("document", documents(), ids=lambda path: str(path.relative_to(REPOSITORY)))


def test_the_readme_is_short() -> None:
    assert len((REPOSITORY / "README.md").read_text(encoding="utf-8").splitlines()) <= README_LINES


def test_the_guide_to_the_load_tester_fits_two_pages() -> None:
    assert len((REPOSITORY / "docs/loadtest.md").read_text(encoding="utf-8").splitlines()) <= LINES_OF_TWO_PAGES


@every_document
def test_every_file_that_a_document_names_exists(document: Path) -> None:
    folders = [REPOSITORY, REPOSITORY / "server", document.parent]
    top = {path.name for path in REPOSITORY.iterdir()} | {path.name for path in (REPOSITORY / "server").iterdir()}
    for number, line in prose_of(document):
        for name in FILE.findall(line):
            if name.partition("/")[0] in top and "/" in name and not name.startswith(("data/", "build/", "index/")):
                assert any((folder / name).exists() for folder in folders), f"{document.name}:{number}: {name}"


@every_document
def test_every_make_target_that_a_document_names_exists(document: Path) -> None:
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"make ([a-z-]+)", "\n".join(re.findall(r"`make [a-z-]+", document.read_text("utf-8")))):
        assert re.search(f"^{target}:", makefile, re.MULTILINE), target


def test_every_folder_that_the_readme_names_exists() -> None:
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    folders = re.findall(r"`([a-z]+)/`", text)
    assert folders
    assert not [folder for folder in folders if not (REPOSITORY / folder).is_dir()]
