"""Segments texts by a sentencepiece model: unigram vocabularies, as `export.tokenizer` writes them.

The library releases the GIL while it reads the file, and needs a quarter of the memory that `tokenizers` takes for the
same vocabulary. A special token that a text spells out, such as `</s>`, is plain text.
"""

from collections.abc import Sequence
from pathlib import Path

import sentencepiece

from server.errors import BundleError, first_line


class SentencePieceSegmenter:
    """Segments texts; see `Segmenter`. The model names the special tokens as its bos and its eos, where it has them."""

    def __init__(self, path: Path) -> None:
        """Reads the file.

        Raises:
            BundleError: It cannot be read.
        """
        self._processor = sentencepiece.SentencePieceProcessor()
        try:
            self._processor.LoadFromFile(str(path))
        except Exception as error:  # The library has no common base for its errors.
            raise BundleError(f"{path} is not a tokenizer: {first_line(error)}; export the model again") from None
        self._before = [each for each in [self._processor.bos_id()] if each >= 0]
        self._after = [each for each in [self._processor.eos_id()] if each >= 0]
        self.special_count = len(self._before) + len(self._after)

    def segment(self, texts: Sequence[str], *, max_tokens: int) -> list[tuple[list[int], int]]:
        """Returns the ids of each text, and how many there were before the cut; see `Segmenter`."""
        room = max_tokens - self.special_count
        result = []
        for text in texts:
            ids: list[int] = self._processor.EncodeAsIds(text)
            result.append(([*self._before, *ids[:room], *self._after], len(ids) + self.special_count))
        return result

    def offsets(self, text: str) -> list[tuple[int, int]]:
        """Returns where each token starts and ends, in characters; see `Segmenter`."""
        offsets: list[tuple[int, int]] = self._processor.EncodeAsOffsetMapping(text)["offsets"]
        return offsets
