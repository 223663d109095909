"""Cuts texts into the tokens that the model knows."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tokenizers

from server.errors import BundleError


class TextKind(enum.Enum):
    """The two sides that a retrieval model compares."""

    QUERY = "query"
    DOCUMENT = "document"


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens of one text of a kind: at most the model's maximum of `ids`, cut from `whole_count` of them."""

    kind: TextKind
    ids: list[int]
    whole_count: int

    @property
    def cut(self) -> bool:
        """Whether the text is longer than the model can see."""
        return self.whole_count > len(self.ids)


class Tokenizer:
    """Prefixes and tokenizes texts. Safe to share between threads."""

    def __init__(self, path: Path, *, prefixes: dict[TextKind, str], max_tokens: int) -> None:
        self._prefixes = prefixes
        self._max_tokens = max_tokens
        # Two copies, because to cut is a state of the tokenizer: special tokens at the end must survive the cut.
        self._whole = _load(path)
        self._whole.no_truncation()
        self._cutting = _load(path)
        self._cutting.enable_truncation(max_tokens)

    def tokenize(self, texts: Sequence[tuple[str, TextKind]]) -> list[Tokens]:
        """Returns the tokens of each text, special tokens included, cut at the model's maximum."""
        prefixed = [self._prefixes[kind] + text for text, kind in texts]
        result = []
        encodings = self._whole.encode_batch_fast(prefixed)
        for (_, kind), text, encoding in zip(texts, prefixed, encodings, strict=True):
            ids = encoding.ids
            count = len(ids)
            if count > self._max_tokens:
                ids = self._cutting.encode(text).ids
            result.append(Tokens(kind, ids, count))
        return result


def _load(path: Path) -> tokenizers.Tokenizer:
    try:
        tokenizer = tokenizers.Tokenizer.from_file(str(path))
    except Exception as error:  # The library raises bare Exception for whatever it cannot read.
        raise BundleError(f"{path} is not a tokenizer: {error}; export the model again") from None
    tokenizer.no_padding()
    return tokenizer
