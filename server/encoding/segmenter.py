"""Segments texts into token ids, with one class for each library.

Threads may share a segmenter, so that its vocabulary is in memory once.
"""

from collections.abc import Sequence
from pathlib import Path

import sentencepiece
import tokenizers

from server.errors import BundleError, first_line

SENTENCEPIECE_FILE = "tokenizer.model"
TOKENIZER_FILE = "tokenizer.json"
"""A tower has one of the two."""


class JsonSegmenter:
    """Segments with a tokenizer.json and the `tokenizers` library, which holds the GIL while it segments."""

    def __init__(self, path: Path) -> None:
        try:
            self._tokenizer = tokenizers.Tokenizer.from_file(str(path))
        except Exception as error:  # The library raises bare Exception for any file that it cannot read.
            raise BundleError(f"{path} is not a tokenizer: {error}; export the model again") from None
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()

    def segment(self, texts: Sequence[str], *, max_tokens: int) -> list[tuple[list[int], int]]:
        """Returns the ids of each text, cut to `max_tokens`, and their number before the cut; with special tokens."""
        return [(_cut(each, max_tokens), len(each)) for each in self._tokenizer.encode_batch_fast(list(texts))]

    def offsets(self, text: str) -> list[tuple[int, int]]:
        """Returns the start and end of each token, in characters; without special tokens."""
        offsets: list[tuple[int, int]] = self._tokenizer.encode(text, add_special_tokens=False).offsets
        return offsets


class SentencePieceSegmenter:
    """Segments with a sentencepiece model, a unigram vocabulary that `export.tokenizer` writes.

    The library releases the GIL while it segments, and needs less memory than `tokenizers` for the same vocabulary.
    The special tokens are the model's bos and eos, if it has them. A special token that a text spells out, such as
    `</s>`, is plain text.
    """

    def __init__(self, path: Path) -> None:
        self._processor = sentencepiece.SentencePieceProcessor()
        try:
            self._processor.LoadFromFile(str(path))
        except Exception as error:  # The library's errors have no common base class.
            raise BundleError(f"{path} is not a tokenizer: {first_line(error)}; export the model again") from None
        self._before = [each for each in [self._processor.bos_id()] if each >= 0]
        self._after = [each for each in [self._processor.eos_id()] if each >= 0]

    def segment(self, texts: Sequence[str], *, max_tokens: int) -> list[tuple[list[int], int]]:
        """Returns the ids of each text, cut to `max_tokens`, and their number before the cut; with special tokens."""
        special_count = len(self._before) + len(self._after)
        room = max_tokens - special_count
        result = []
        for text in texts:
            ids: list[int] = self._processor.EncodeAsIds(text)
            result.append(([*self._before, *ids[:room], *self._after], len(ids) + special_count))
        return result

    def offsets(self, text: str) -> list[tuple[int, int]]:
        """Returns the start and end of each token, in characters; without special tokens."""
        offsets: list[tuple[int, int]] = self._processor.EncodeAsOffsetMapping(text)["offsets"]
        return offsets


Segmenter = JsonSegmenter | SentencePieceSegmenter


def open_segmenter(path: Path) -> Segmenter:
    """Opens a tower's tokenizer with the library for its file name; raises BundleError if it cannot be read."""
    return SentencePieceSegmenter(path) if path.name == SENTENCEPIECE_FILE else JsonSegmenter(path)


def _cut(encoding: tokenizers.Encoding, max_tokens: int) -> list[int]:
    """Returns at most `max_tokens` ids; drops the last tokens of the text, not special tokens."""
    ids: list[int] = encoding.ids
    excess = len(ids) - max_tokens
    if excess <= 0:
        return ids
    mask = encoding.special_tokens_mask
    end = len(ids) - mask[::-1].index(0)
    return ids[: end - excess] + ids[end:]
