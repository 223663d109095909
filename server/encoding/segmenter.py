"""Segments texts into token ids. One class for each library, and one copy of the vocabulary in memory."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from server.encoding.json_segmenter import JsonSegmenter
from server.encoding.sentencepiece_segmenter import SentencePieceSegmenter

SENTENCEPIECE_FILE = "tokenizer.model"
TOKENIZER_FILE = "tokenizer.json"
"""A tower has one of the two."""


class Segmenter(Protocol):
    """A vocabulary, ready to use. Safe to share between threads.

    Attributes:
        special_count: Number of special tokens that every text gets.
    """

    special_count: int

    def segment(self, texts: Sequence[str], *, max_tokens: int) -> list[tuple[list[int], int]]:
        """Returns the ids of each text, cut to `max_tokens`, and how many there were before.

        Both include the special tokens, which a cut leaves in place.
        """

    def offsets(self, text: str) -> list[tuple[int, int]]:
        """Returns where each token starts and ends, in characters; without special tokens."""


def open_segmenter(path: Path) -> Segmenter:
    """Opens a tower's tokenizer, by the name of its file.

    Raises:
        BundleError: It cannot be read.
    """
    return SentencePieceSegmenter(path) if path.name == SENTENCEPIECE_FILE else JsonSegmenter(path)
