"""Segments texts into token ids, with one class for each library.

Threads may share a segmenter, so that its vocabulary is in memory once. A long text is segmented in sections, since the
libraries hold the GIL while they segment or hand over the result. The first section has the tokens that the model sees,
so that the others only count; where a word crosses two sections, the count may differ by a few tokens from the whole
text's.
"""

from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path

import numpy as np
import sentencepiece
import tokenizers
from numpy.typing import NDArray

from server.errors import BundleError, first_line
from server.sections import SECTION_CHARACTERS, sections

SENTENCEPIECE_FILE = "tokenizer.model"
TOKENIZER_FILE = "tokenizer.json"
"""A tower has one of the two."""

CHARACTERS_PER_TOKEN = 8
"""Most characters that a token has on average. The first section of a text has as many for each token of the model."""


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
        cuts = [list(sections(text, characters=_first_characters(max_tokens))) for text in texts]
        firsts = [
            encoding
            for batch in _batches(first for first, *_ in cuts)
            for encoding in self._tokenizer.encode_batch_fast(batch)
        ]
        return [
            (
                _cut(first, max_tokens),
                len(first) + sum(self._count(section) for long in rest for section in sections(long)),
            )
            for first, (_, *rest) in zip(firsts, cuts, strict=True)
        ]

    def offsets(self, text: str) -> NDArray[np.int32]:
        """Returns the start and end of each token `[N, 2]`, in characters; without special tokens."""
        return _offsets_of_sections(
            text, lambda section: self._tokenizer.encode(section, add_special_tokens=False).offsets
        )

    def _count(self, section: str) -> int:
        return len(self._tokenizer.encode_batch_fast([section], add_special_tokens=False)[0])


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
            first, *rest = sections(text, characters=_first_characters(max_tokens))
            ids: list[int] = self._processor.EncodeAsIds(first)
            count = len(ids) + sum(len(self._processor.EncodeAsIds(section)) for section in rest)
            result.append(([*self._before, *ids[:room], *self._after], count + special_count))
        return result

    def offsets(self, text: str) -> NDArray[np.int32]:
        """Returns the start and end of each token `[N, 2]`, in characters; without special tokens."""
        return _offsets_of_sections(text, lambda section: self._processor.EncodeAsOffsetMapping(section)["offsets"])


Segmenter = JsonSegmenter | SentencePieceSegmenter


def open_segmenter(path: Path) -> Segmenter:
    """Opens a tower's tokenizer with the library for its file name; raises BundleError if it cannot be read."""
    return SentencePieceSegmenter(path) if path.name == SENTENCEPIECE_FILE else JsonSegmenter(path)


def _first_characters(max_tokens: int) -> int:
    return max(SECTION_CHARACTERS, CHARACTERS_PER_TOKEN * max_tokens)


def _offsets_of_sections(text: str, offsets_of: Callable[[str], Sequence[tuple[int, int]]]) -> NDArray[np.int32]:
    """Returns the offsets of all sections of a text, from the beginning of the text."""
    # One flat array: creating and freeing a list of a million tuples holds the GIL for long. No arithmetic of NumPy in
    # the loop: it releases the GIL for a microsecond, which restarts the wait of the other threads each time.
    flat, counts, positions = array("i"), [], [0]
    for section in sections(text):
        offsets = offsets_of(section)
        flat.extend(chain.from_iterable(offsets))
        counts.append(len(offsets))
        positions.append(positions[-1] + len(section))
    moved = np.repeat(np.array(positions[:-1], dtype=np.int32), counts)
    return np.frombuffer(flat, dtype=np.int32).reshape(-1, 2) + moved[:, None]


def _batches(texts: Iterable[str]) -> Iterator[list[str]]:
    """Yields texts in batches of about a section."""
    batch: list[str] = []
    characters = 0
    for text in texts:
        if batch and characters + len(text) > SECTION_CHARACTERS:
            yield batch
            batch, characters = [], 0
        batch.append(text)
        characters += len(text)
    if batch:
        yield batch


def _cut(encoding: tokenizers.Encoding, max_tokens: int) -> list[int]:
    """Returns at most `max_tokens` ids; drops the last tokens of the text, not special tokens."""
    ids: list[int] = encoding.ids
    excess = len(ids) - max_tokens
    if excess <= 0:
        return ids
    mask = encoding.special_tokens_mask
    end = len(ids) - mask[::-1].index(0)
    return ids[: end - excess] + ids[end:]
