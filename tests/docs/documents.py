"""The documents of the project, and the fenced blocks of code in them."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from sample.server_process import REPOSITORY
from tools.prose_check import prose_lines

NOT_RUN = re.compile(r"<!-- not run: .+ -->")
"""In the line before a block of commands or Python: marks it as not run, with the reason."""


class Block(NamedTuple):
    """A fenced block: its language, text and first line (from 1), and whether it is marked as not run."""

    language: str
    text: str
    line: int
    marked: bool


def documents() -> list[Path]:
    """Returns the Markdown files in the root, in docs, and the runbook."""
    return sorted([*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/**/*.md"), REPOSITORY / "deploy/runbook.md"])


def blocks_of(document: Path) -> list[Block]:
    """Returns the fenced blocks of a document."""
    lines = document.read_text(encoding="utf-8").splitlines()
    blocks, start = [], None
    for number, line in enumerate(lines):
        if not line.startswith("```"):
            continue
        if start is None:
            start = number
        else:
            marked = start > 0 and NOT_RUN.fullmatch(lines[start - 1]) is not None
            text = "".join(f"{each}\n" for each in lines[start + 1 : number])
            blocks.append(Block(lines[start][3:].strip(), text, start + 1, marked))
            start = None
    assert start is None, f"{document} has a block without an end"
    return blocks


def prose_of(document: Path) -> Iterator[tuple[int, str]]:
    """Yields number and text of the lines outside fenced blocks."""
    return prose_lines(document.read_text(encoding="utf-8"))
