"""Corrects words that are written like no Korean word, because one key was wrong, missing, too many or too early.

Such an error often leaves a letter outside syllables (카ㅡ for 카드), or makes a syllable that no word has (칻).
Other misspelled words look like words, and stay as they are: of the real words that a catalogue lacks, one in forty is
one key away from a word that it has, as 지갑 is from 지급.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import islice

from server.korean.jamo import INITIALS, VOWEL_PAIRS, VOWELS, is_usual
from server.korean.keyboard import as_english, as_korean
from server.readings.layouts import JAMO, KOREAN_KEYS
from server.readings.vocabulary import Vocabulary

MOST_CORRECTED = 2
"""Words of a text that are corrected at most: the first broken ones."""

MOST_BROKEN = 3
"""Characters from the first wrong one to the last. More have several errors, as have several unusual syllables."""

CLEAR = 2
"""Least ratio of the number of documents with the best correction to that with the next one."""

SYLLABLE = re.compile("[가-힣]")
TOKEN = re.compile("[0-9A-Za-z가-힣ㄱ-ㅣ]+")
WORD = re.compile("(?=.*[가-힣])[가-힣ㄱ-ㅣ]{2,16}")
SYLLABLES = re.compile("[가-힣]+")
FEELINGS = "ㅋㅎㅠㅜ"
"""Letters that people append to words."""

CONSONANT_KEYS = as_english(INITIALS)
VOWEL_KEYS = as_english("".join(vowel for vowel in VOWELS if vowel not in VOWEL_PAIRS))


def corrected(text: str, vocabulary: Vocabulary) -> str | None:
    """Returns a composed text with its broken words corrected; None if none can be.

    A word becomes the only one of the catalogue that is one key away, or that in most documents by far.
    """
    if not _is_broken(text):
        return None
    spans = list(islice(_broken(text), MOST_CORRECTED))
    known = vocabulary.has_words([text[start:end] for start, end in spans])
    found = text
    moved = 0
    for (start, end), has in zip(spans, known, strict=True):
        if has:
            continue
        word = _meant(text[start:end], vocabulary)
        if word is None:
            break  # Next to a word that is no slip of one key, the others are seldom slips either.
        found = found[: start + moved] + word + found[end + moved :]
        moved += len(word) - (end - start)
    return found if found != text else None


def _broken(text: str) -> Iterator[tuple[int, int]]:
    """Yields start and end of each broken word, without letters that express a feeling."""
    for token in TOKEN.finditer(text):
        word = token[0].rstrip(FEELINGS)
        if WORD.fullmatch(word) and _is_broken(word):
            yield token.start(), token.start() + len(word)


def _is_broken(text: str) -> bool:
    """Whether a text has a letter outside syllables, or an unusual syllable: hardly one of 50,000 words is meant so."""
    return bool(JAMO.search(text)) or not all(map(is_usual, SYLLABLE.findall(text)))


def _meant(word: str, vocabulary: Vocabulary) -> str | None:
    """Returns the word that a broken one stands for."""
    forms = list(dict.fromkeys(_one_key_away(word)))
    counts = vocabulary.document_counts(forms)
    known = sorted(((count, form) for count, form in zip(counts, forms, strict=True) if count), reverse=True)
    if not known or (len(known) > 1 and known[0][0] < CLEAR * known[1][0]):
        return None
    return known[0][1]


def _one_key_away(word: str) -> Iterator[str]:
    """Yields the words of whole syllables that become a broken one by an error of one key."""
    broken = [place for place, character in enumerate(word) if _is_broken(character)]
    first, last = broken[0], broken[-1]
    if last - first >= MOST_BROKEN or len(SYLLABLE.findall("".join(word[place] for place in broken))) > 1:
        return
    # The keys next to the broken part may be wrong, too: a character more on each side is written from its keys.
    start, end = max(first - 1, 0), last + 2
    own = len(as_english(word[start:first]))
    typed = as_english(word[start:end])
    places = range(max(own - 1, 0), min(own + len(as_english(word[first : last + 1])) + 1, len(typed)))
    for keys in _without_error(typed, places):
        # Most cannot be syllables, as their form shows in a tenth of the time.
        if KOREAN_KEYS.fullmatch(keys) and SYLLABLES.fullmatch(written := as_korean(keys)):
            yield word[:start] + written + word[end:]


def _without_error(typed: str, places: Sequence[int]) -> Iterator[str]:
    """Yields the keys that become the typed ones by an error at one of some places."""
    for place in places:
        before, key, after = typed[:place], typed[place], typed[place + 1 :]
        yield before + after
        yield before + after[:1] + key + after[1:]
        same_kind = CONSONANT_KEYS if key in CONSONANT_KEYS else VOWEL_KEYS
        yield from (before + other + after for other in same_kind)
    for place in (*places, places[-1] + 1):
        yield from (typed[:place] + key + typed[place:] for key in CONSONANT_KEYS + VOWEL_KEYS)
