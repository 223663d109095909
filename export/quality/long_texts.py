"""Long texts for the comparison, up to the most tokens that a tower encodes.

Attention windows, tables of positions and the cut at the maximum have an effect only in long texts.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from export.source import SourceModel
from export.towers import SourceTowers
from server.encoding.kind import Side, TextKind
from server.encoding.passages import Text

LENGTHS = (64, 256, 1024, 4096, 16384, 65536)
"""Tokens of the texts below the maximum of a tower."""

MOST_TEXTS = 4
"""Maximum texts of each length."""

TOKENS_OF_A_LENGTH = 1024
"""Tokens in all texts of a length, so that long ones take little time; a length has at least one text."""


def long_texts(source: SourceTowers, texts: Sequence[Text]) -> list[Text]:
    """Returns texts of 64, 256, 1024 … tokens up to the maximum of each tower, made by joining some of `texts`.

    The prefix and the special tokens come on top of these tokens, so that both models cut the longest texts.
    `texts` must be covered by a trimmed vocabulary; then so are those made from them.
    """
    sentences = [text for text, _ in texts]
    found: list[Text] = []
    for side, model in source.models.items():
        kind = TextKind.QUERY if side is Side.QUERY and len(source.models) > 1 else TextKind.TEXT
        found += [(text, kind) for text in _texts_of(model, sentences)]
    return found


def _texts_of(model: SourceModel, sentences: Sequence[str]) -> Iterator[str]:
    """Yields the long texts of a tower."""
    shuffle = random.Random(0)  # noqa: S311  a sample, not a secret
    for tokens in (*(length for length in LENGTHS if length < model.max_tokens), model.max_tokens):
        for _ in range(max(1, min(MOST_TEXTS, TOKENS_OF_A_LENGTH // tokens))):
            yield _joined(model, shuffle.sample(sentences, min(tokens, len(sentences))), tokens)


def _joined(model: SourceModel, sentences: Sequence[str], tokens: int) -> str:
    """Returns the beginning of the joined sentences, repeated if they are too short, with a number of tokens."""
    text = once = " ".join(sentences)
    while len(ends := model.token_ends(text)) < tokens and ends:
        text += f" {once}" * -(-tokens // len(ends))
    return text[: ends[tokens - 1]] if ends else text
