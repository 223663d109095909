"""Checks what codespell cannot: banned phrases, openings of docstrings, and the width of Markdown.

`python -m tools.prose_check` prints `file:line: advice` for each hit, and exits with 1 if there is any. The phrases are
the entries of `banned_words.txt` with a space; codespell checks the other entries. `codespell:ignore` in a line excuses
its phrases.
"""

from __future__ import annotations

import functools
import re
import subprocess
import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path

from server.closed_pipe import until_closed_pipe

REPOSITORY = Path(__file__).resolve().parent.parent
BANNED = Path(__file__).with_name("banned_words.txt")
CHECKED = (
    "*.py",
    "*.md",
    "*.proto",
    "*.c",
    "*.h",
    "*.go",
    "*.java",
    "*.js",
    "*.mjs",
    "*.css",
    "*.html",
    "Makefile",
    "pyproject.toml",
)
NOT_CHECKED = ("*_pb2*", "export/sentences.py", "*/uplot/*")  # Generated stubs, texts for calibration, the charts.
WIDTH = 120
OPENING = re.compile(r'"{3}(?:What|How)\b')
LINK_TARGET = re.compile(r"\]\([^)]*\)")
BETWEEN_WORDS = r"[\s#*/]+"  # Two words of a phrase may be in two lines of a comment.


@functools.cache
def banned_phrases() -> dict[str, str]:
    """Returns the replacement of each banned phrase."""
    entries = (line.partition("->") for line in BANNED.read_text(encoding="utf-8").splitlines())
    return {phrase: advice for phrase, _, advice in entries if " " in phrase}


def prose_lines(markdown: str) -> Iterator[tuple[int, str]]:
    """Yields number, from 1, and text of the lines outside fenced blocks."""
    inside = False
    for number, line in enumerate(markdown.splitlines(), start=1):
        if line.startswith("```"):
            inside = not inside
        elif not inside:
            yield number, line


def check_phrases(text: str) -> Iterator[tuple[int, str]]:
    """Yields line number and advice for each banned phrase and each opening of a docstring."""
    lines = text.splitlines()
    for phrase, advice in banned_phrases().items():
        words = BETWEEN_WORDS.join(map(re.escape, phrase.split()))
        for match in re.finditer(rf"\b{words}\b", text, re.IGNORECASE):
            number = text.count("\n", 0, match.start()) + 1
            if "codespell:ignore" not in lines[number - 1]:
                yield number, f"{phrase} ==> {advice}"
    for number, line in enumerate(lines, start=1):
        if OPENING.search(line):
            yield number, "begin a function's docstring with a verb (Returns …), a class's with a noun phrase"


def check_width(markdown: str) -> Iterator[tuple[int, str]]:
    """Yields line number and advice for wide lines of prose. Korean takes two columns; targets of links take none."""
    for number, line in prose_lines(markdown):
        text = LINK_TARGET.sub("]", line)
        columns = sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)
        if columns > WIDTH and not line.startswith("|"):
            yield number, f"{columns} columns ==> wrap at {WIDTH}"


def checked_files() -> list[Path]:
    """Returns the files of the repository that hold prose, new files included."""
    patterns = [*CHECKED, *(f":!{pattern}" for pattern in NOT_CHECKED)]
    listing = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *patterns]
    names = subprocess.run(listing, cwd=REPOSITORY, check=True, capture_output=True, text=True).stdout.splitlines()
    return [path for name in sorted(set(names)) if (path := REPOSITORY / name).is_file()]


def main() -> int:
    """Prints the hits; returns the exit code."""
    failed = 0
    for path in checked_files():
        text = path.read_text(encoding="utf-8")
        hits = [*check_phrases(text), *(check_width(text) if path.suffix == ".md" else ())]
        for number, advice in sorted(hits):
            print(f"{path.relative_to(REPOSITORY)}:{number}: {advice}")
            failed = 1
    return failed


if __name__ == "__main__":
    sys.exit(until_closed_pipe(main))
