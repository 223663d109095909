"""A small set that a random model cannot answer, but that it can learn: queries share no letter with their document."""

import json
import random
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.export.tiny_models import LETTERS

DOCUMENTS = 6
LABELS_PER_DOCUMENT = 16
JUDGED_PER_DOCUMENT = 4


@dataclass(frozen=True)
class Files:
    """The files of the set."""

    catalogue: Path
    labels: Path
    queries: Path

    @property
    def flags(self) -> list[str]:
        return ["--catalogue", str(self.catalogue), "--labels", str(self.labels), "--queries", str(self.queries)]


def write_files(folder: Path) -> Files:
    files = Files(folder / "catalogue.jsonl", folder / "labels.jsonl", folder / "judged.jsonl")
    shuffle = random.Random(0)
    texts = {number: letters_of(number, shuffle) for number in range(DOCUMENTS)}
    write_lines(files.catalogue, ({"id": f"d{number}", "title": title_of(number)} for number in texts))
    labelled = [
        {"query": text, "language": "en", "relevant": [f"d{number}"]}
        for number, queries in texts.items()
        for text in queries
    ]
    write_lines(files.labels, [each for row, each in enumerate(labelled) if row % 20 < LABELS_PER_DOCUMENT])
    write_lines(files.queries, [each for row, each in enumerate(labelled) if row % 20 >= LABELS_PER_DOCUMENT])
    return files


def title_of(number: int) -> str:
    return " ".join(LETTERS[2 * number : 2 * number + 2] * 2)


def letters_of(number: int, shuffle: random.Random) -> list[str]:
    """Returns different queries for a document, of two letters that no other document's queries have."""
    own = LETTERS[12 + 2 * number : 14 + 2 * number]
    queries: dict[str, None] = {}
    while len(queries) < LABELS_PER_DOCUMENT + JUDGED_PER_DOCUMENT:
        queries[" ".join(shuffle.choices(own, k=shuffle.randint(4, 8)))] = None
    return list(queries)


def write_lines(path: Path, lines: Iterable[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(each) + "\n" for each in lines), encoding="utf-8")
