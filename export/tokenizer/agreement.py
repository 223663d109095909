"""Compares the tokens of a model's tokenizer.json with those of the sentencepiece model made from it.

Both search for the likeliest segmentation. If two segmentations are equally likely, up to the rounding of float32, the
result may be either, as for a row of dashes. Any other difference is a disagreement.

Sentencepiece normalises as the model's training did: it also composes sequences, such as Korean syllables that old Macs
write as separate letters. `tokenizers` mostly maps single characters. So both must map each single character in the
same way, and texts are compared in composed form (NFKC).
"""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import sentencepiece
import tokenizers

from export.tokenizer.sentencepiece_model import SPACE

TIE = 1e-6
"""Relative difference below which two sums of scores are equal: float32 has 24 bits, and sums lose some of them."""

SPLIT_CHARACTERS = ("각", "힣", "é", "Å", "ǟ")
"""Characters that some systems decompose (NFD)."""

ODD_TEXTS = (
    "",
    "   ",
    "  spaces   around \t tabs\r\nand lines\u2028and\u3000wide\u00a0ones  ",
    "🚗👩‍👩‍👧‍👦 ☕️ 1️⃣ ❤️ 🇰🇷",
    "con\x01trol\x07 cha\x0brac\x1fters\x7f",
    "zero\u200bwidth\u200d\ufeff\u200e",
    "ＡＢＣ１２３（전각）！",
    "한국어english日本語РусскийعربيעבריתไทยΕλληνικά中文",
    "㈜회사 ① ㎏ ﬁ ½ Ⅳ ℃ ™",
    "éàüñ ǟ 가각힣 ㄱㅏㅋㅋㅠㅠ",
    "a▁b ▁ ▁▁c",
    "\U00013000\U00013001 a\U00013000b \ue000",
    "https://example.com/a/b?c=d&e=%20#f user@example.com C:\\path -1,234.56% $9.99 ₩1,000",
    "가나다라" * 700,
    "abc" * 700,
    "0123456789" * 100,
    "스스로 그리스를 " * 150,
)


def disagreement(
    reference: tokenizers.Tokenizer, candidate: sentencepiece.SentencePieceProcessor, texts: Iterable[str]
) -> str | None:
    """Returns a text that the two segment differently, except for ties; None if there is none.

    Args:
        reference: The model's own tokenizer.
        candidate: The sentencepiece model that may replace it.
        texts: The texts to compare, in addition to `ODD_TEXTS`.
    """
    for character in _characters():
        if _normalised(reference, character) != candidate.normalize(f"-{character}-"):
            return character
    for character in SPLIT_CHARACTERS:
        split = unicodedata.normalize("NFD", character)
        composes = _normalised(reference, split) == _normalised(reference, character)
        if composes and candidate.normalize(f"-{split}-") != candidate.normalize(f"-{character}-"):
            return split
    composed = [unicodedata.normalize("NFKC", text) for text in dict.fromkeys([*ODD_TEXTS, *texts])]
    for text, encoding in zip(composed, reference.encode_batch_fast(composed), strict=True):
        ids = candidate.encode(text, add_bos=candidate.bos_id() >= 0, add_eos=candidate.eos_id() >= 0)
        if ids != encoding.ids and not _tied(candidate, ids, encoding.ids):
            return text
    return None


def _characters() -> Iterator[str]:
    """Yields every character that Unicode assigns."""
    for code in range(sys.maxunicode + 1):
        if unicodedata.category(chr(code)) not in ("Cn", "Co", "Cs"):
            yield chr(code)


def _normalised(tokenizer: tokenizers.Tokenizer, character: str) -> str:
    """Returns a character between two hyphens, normalised, with sentencepiece's mark for spaces."""
    text = f"-{character}-"
    text = text if tokenizer.normalizer is None else tokenizer.normalizer.normalize_str(text)
    return SPACE + text.replace(" ", SPACE)


def _tied(processor: Any, ids: Sequence[int], others: Sequence[int]) -> bool:
    """Returns whether two segmentations have the same characters and are equally likely."""
    if max(others, default=0) >= processor.get_piece_size():
        return False
    spelt, likelihoods = [], []
    for each in (list(ids), list(others)):
        spelt.append("".join(processor.id_to_piece(each)))
        likelihoods.append(sum(processor.get_score(each)))
    return spelt[0] == spelt[1] and abs(likelihoods[0] - likelihoods[1]) <= TIE * abs(likelihoods[0])
