"""The calibration texts of quantization and centering."""

from __future__ import annotations

import random
from pathlib import Path

import msgspec

from export.errors import ExportError
from export.quality.corpus import sample_corpus
from export.sentences import DOCUMENTS, QUERIES
from server.catalogue.document import parts_of

MOST_TEXTS = 500


def calibration_texts(path: Path | None) -> list[str]:
    """Returns the texts of a file, or the project's own (None): at most 500, shuffled with a fixed seed.

    Each line of the file is a text, or a JSON object with `text` or `query`.

    Raises:
        ExportError: The file cannot be read, or a line is invalid; the error names file and line.
    """
    texts = _own_texts() if path is None else _read(path)
    random.Random(0).shuffle(texts)  # noqa: S311  a sample, not a secret
    return texts[:MOST_TEXTS]


def _own_texts() -> list[str]:
    corpus = sample_corpus()
    return [
        *QUERIES,
        *DOCUMENTS,
        *(query.query for query in corpus.queries),
        *(part.text for document in corpus.documents for part in parts_of(document)),
    ]


def _read(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise ExportError(f"--calibration {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ExportError(f"--calibration {path} is not UTF-8: {error}") from None
    texts = [_text(line, f"{path}:{number}") for number, line in enumerate(lines, start=1) if line.strip()]
    if not texts:
        raise ExportError(f"--calibration {path} has no texts")
    return texts


def _text(line: str, place: str) -> str:
    """Returns the text of a line. A line that begins with a brace is JSON."""
    if not line.lstrip().startswith("{"):
        return line.strip()
    try:
        found = msgspec.json.decode(line, type=_Line)
    except msgspec.DecodeError as error:
        raise ExportError(f"{place}: {error}") from None
    text = found.text or found.query
    if not text.strip():
        raise ExportError(f"{place}: expected the field text or query, and not blank")
    return text


class _Line(msgspec.Struct):
    text: str = ""
    query: str = ""
