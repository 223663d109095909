"""Korean particles: which form a word takes, and words without theirs.

Many particles have two forms: 을, 이 and 은 follow a final consonant, 를, 가 and 는 a vowel (카드를, 통장을). 으로
follows a final consonant other than ㄹ (서울로, 집으로).
"""

from __future__ import annotations

import re
from typing import NamedTuple

from export.bootstrap.synthetic.words import words_of
from server.korean.jamo import FINALS, FIRST_SYLLABLE, INITIALS, VOWELS

FORMS = len(FINALS) + 1
"""Syllables with the same initial and vowel: the first has no final consonant."""

LAST_SYLLABLE = FIRST_SYLLABLE + len(INITIALS) * len(VOWELS) * FORMS - 1

RIEUL = FINALS.index("ㄹ") + 1

DIGITS = {**dict.fromkeys("178", RIEUL), **dict.fromkeys("036", FINALS.index("ㅇ") + 1)}
"""The final of each digit as it is read: 일, 칠 and 팔 end in ㄹ, 영, 삼 and 육 in another consonant."""

LATIN = {**dict.fromkeys("lLrR", RIEUL), **dict.fromkeys("mMnN", FINALS.index("ㄴ") + 1)}
"""The final of each Latin letter as it is read: 엘 and 알 end in ㄹ, 엠 and 엔 in another consonant."""

AFTER_CONSONANT = ("으로", "을", "은", "이", "과")
AFTER_VOWEL = ("로", "를", "는", "가", "와")
AFTER_BOTH = ("에서", "에게", "까지", "부터", "만큼", "처럼", "보다", "마다", "에", "의", "도", "만")

NOUNS = words_of(
    "어린이 젊은이 고양이 호랑이 나들이 놀이 종이 아이 한도 속도 온도 지도 제도 정도 용도 태도 의도 보도 강도 빈도 "
    "족도 뢰도 도로 경로 진로 통로 가로 세로 문의 동의 회의 주의 편의 이의 물가 지가 평가 국가 허가 휴가 증가 추가 "
    "효과 결과 성과 통과 초과 경과 학과 치과 외과 내과 비만"
)
"""Ends of nouns that look like a particle."""

SHORTEST_STEM = 2
"""Syllables of the shortest word whose particle is taken off: shorter words often only look as if they had one."""

WORD = re.compile("[가-힣]+")

VERB_STEMS = tuple("하되있없받않드같갖많높낮좋싶")
"""The last syllables of stems of verbs: 는 and 은 after them belong to the verb (하는, 받은)."""


class Particle(NamedTuple):
    """The forms of a particle after a final consonant, and after a vowel."""

    after_consonant: str
    after_vowel: str
    rieul_as_vowel: bool = False


TOPIC = Particle("은", "는")
SUBJECT = Particle("이", "가")
OBJECT = Particle("을", "를")
WITH = Particle("과", "와")
BY = Particle("으로", "로", rieul_as_vowel=True)
IS = Particle("이에요", "예요")


def with_particle(word: str, particle: Particle) -> str:
    """Returns a word with the form of a particle that its last sound asks for. Marks at its end count as silent."""
    final = final_of(word)
    vowel = not final or (particle.rieul_as_vowel and final == RIEUL)
    return word + (particle.after_vowel if vowel else particle.after_consonant)


def final_of(word: str) -> int:
    """Returns the number of the final consonant that a word ends with, from 1 in the order of Unicode; 0 for a vowel.

    A word without a Hangul syllable, a digit or a Latin letter ends with a vowel.
    """
    last = next((each for each in reversed(word) if each.isalnum()), "")
    if len(last) == 1 and FIRST_SYLLABLE <= ord(last) <= LAST_SYLLABLE:
        return (ord(last) - FIRST_SYLLABLE) % FORMS
    return DIGITS.get(last, LATIN.get(last, 0))


def without_particle(word: str) -> str:
    """Returns a Korean word without its particle; the word itself if it has none.

    Without a dictionary this is a guess. It leaves words of other letters, short stems, and `NOUNS`.
    """
    if WORD.fullmatch(word) is None or word.endswith(NOUNS):
        return word
    for ending in (*AFTER_BOTH, *AFTER_CONSONANT, *AFTER_VOWEL):
        stem = word.removesuffix(ending)
        if stem == word or len(stem) < SHORTEST_STEM:
            continue
        if ending in AFTER_BOTH or _fits(stem, ending):
            return word if ending in ("은", "는") and stem.endswith(VERB_STEMS) else stem
    return word


def _fits(stem: str, ending: str) -> bool:
    final = final_of(stem)
    if ending == "로":
        return final in (0, RIEUL) and not stem.endswith("으")
    if ending == "으로":
        return final not in (0, RIEUL)
    return bool(final) is (ending in AFTER_CONSONANT)
