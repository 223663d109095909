"""Segments texts by a tokenizer.json, in the `tokenizers` library: any model that is not in sentencepiece's form.

The library holds the GIL while it reads the file.
"""

from collections.abc import Sequence
from pathlib import Path

import tokenizers

from server.errors import BundleError


class JsonSegmenter:
    """Segments texts; see `Segmenter`."""

    def __init__(self, path: Path) -> None:
        """Reads the file.

        Raises:
            BundleError: It cannot be read.
        """
        try:
            self._tokenizer = tokenizers.Tokenizer.from_file(str(path))
        except Exception as error:  # The library raises bare Exception for whatever it cannot read.
            raise BundleError(f"{path} is not a tokenizer: {error}; export the model again") from None
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self.special_count: int = self._tokenizer.num_special_tokens_to_add(is_pair=False)

    def segment(self, texts: Sequence[str], *, max_tokens: int) -> list[tuple[list[int], int]]:
        """Returns the ids of each text, and how many there were before the cut; see `Segmenter`."""
        return [(_cut(each, max_tokens), len(each)) for each in self._tokenizer.encode_batch_fast(list(texts))]

    def offsets(self, text: str) -> list[tuple[int, int]]:
        """Returns where each token starts and ends, in characters; see `Segmenter`."""
        offsets: list[tuple[int, int]] = self._tokenizer.encode(text, add_special_tokens=False).offsets
        return offsets


def _cut(encoding: tokenizers.Encoding, max_tokens: int) -> list[int]:
    """Returns the ids without the last tokens of the text itself, where there are more than `max_tokens`."""
    ids: list[int] = encoding.ids
    excess = len(ids) - max_tokens
    if excess <= 0:
        return ids
    mask = encoding.special_tokens_mask
    end = len(ids) - mask[::-1].index(0)
    return ids[: end - excess] + ids[end:]
