import re
import unicodedata
from pathlib import Path

import pytest

from sample.server_process import REPOSITORY
from tests.docs.documents import documents, prose_of

WIDTH = 120
README_LINES = 150
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
FILE = re.compile(r"`([\w.-]+(?:/[\w.-]+)*\.(?:py|proto|json|jsonl|md|yml|toml|txt|c|h|mjs|go|java))`")

every_document = pytest.mark.parametrize("document", documents(), ids=lambda path: str(path.relative_to(REPOSITORY)))


def width_of(line: str) -> int:
    """The columns of a line; Korean characters take two."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in line)


def anchors_of(document: Path) -> set[str]:
    """The anchors of a document's headings, as GitHub makes them."""
    headings = [line.lstrip("#").strip() for _, line in prose_of(document) if line.startswith("#")]
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_readme_is_short() -> None:
    assert len((REPOSITORY / "README.md").read_text(encoding="utf-8").splitlines()) <= README_LINES


@every_document
def test_prose_is_wrapped(document: Path) -> None:
    long = [number for number, line in prose_of(document) if width_of(line) > WIDTH and not line.startswith("|")]
    assert not long, f"lines {long} of {document.name} are wider than {WIDTH} columns"


@every_document
def test_every_link_leads_somewhere(document: Path) -> None:
    for number, line in prose_of(document):
        for link in LINK.findall(line):
            if link.startswith("https://"):
                continue
            path, _, anchor = link.partition("#")
            target = (document.parent / path).resolve() if path else document
            assert target.exists(), f"{document.name}:{number}: {link}"
            assert not anchor or anchor in anchors_of(target), f"{document.name}:{number}: {link}"


@every_document
def test_every_file_of_the_project_that_is_named_exists(document: Path) -> None:
    folders = [REPOSITORY, REPOSITORY / "server", document.parent]
    top = {path.name for path in REPOSITORY.iterdir()} | {path.name for path in (REPOSITORY / "server").iterdir()}
    for number, line in prose_of(document):
        for name in FILE.findall(line):
            if name.partition("/")[0] in top and "/" in name and not name.startswith(("data/", "build/", "index/")):
                assert any((folder / name).exists() for folder in folders), f"{document.name}:{number}: {name}"


@every_document
def test_every_target_that_is_named_exists(document: Path) -> None:
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"make ([a-z-]+)", "\n".join(re.findall(r"`make [a-z-]+", document.read_text("utf-8")))):
        assert re.search(f"^{target}:", makefile, re.MULTILINE), target


def test_every_folder_of_the_readme_exists() -> None:
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    folders = re.findall(r"`([a-z]+)/`", text)
    assert folders
    assert not [folder for folder in folders if not (REPOSITORY / folder).is_dir()]
