"""Made-up Korean and English titles, and what people may type to find them. Equal seeds make equal ones."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from random import Random

from server.korean import jamo, keyboard

NOUNS = {
    "ko": "카드 계좌 대출 이체 송금 환전 적금 예금 보험 연금 주식 펀드 채권 세금 월세 청약 쿠폰 알림 한도 이자",
    "en": "card account loan transfer exchange savings deposit insurance pension stock fund bond bill rent tax coupon",
}
ACTIONS = {
    "ko": "조회 신청 변경 해지 등록 발급 재발급 분실신고 설정 확인 비교 추천 계산 예약 취소 연장 상환 납부 충전 가입",
    "en": "check apply change cancel register issue reissue report unlock set compare pay open close extend repay",
}

INITIALS, VOWELS, FINALS = (
    "ㄱㄴㄷㄹㅁㅂㅅㅇㅈㅊㅋㅌㅍㅎ",
    "ㅏㅓㅗㅜㅡㅣㅐㅔㅕㅛ",
    ("", "", "", "ㄴ", "ㄹ", "ㅇ", "ㄱ", "ㅁ"),
)
CONSONANTS, LATIN_VOWELS = "bcdfghklmnprstvz", "aeiou"

NAMES = 6000
"""Made-up names of each language. Each title has one, or two."""

KOREAN_SHARE, TWO_NAMES_SHARE = 0.75, 0.3


def titles(count: int, *, seed: int = 1) -> list[str]:
    """Returns so many different titles."""
    random = Random(seed)
    names = {
        "ko": [_korean_name(random) for _ in range(NAMES)],
        "en": [_english_name(random) for _ in range(NAMES)],
    }
    made: dict[str, None] = {}
    while len(made) < count:
        language = "ko" if random.random() < KOREAN_SHARE else "en"
        parts = [random.choice(each[language].split()) for each in (NOUNS, ACTIONS)]
        parts += random.choices(names[language], k=2 if random.random() < TWO_NAMES_SHARE else 1)
        random.shuffle(parts)
        made[" ".join(parts)] = None
    return list(made)


def typed(of: Sequence[str], kind: str, count: int, *, seed: int = 2) -> Iterator[str]:
    """Yields so many typed texts of a kind, each for some words of a random title up to its end."""
    random = Random(seed)
    for _ in range(count):
        words = random.choice(of).split()
        yield KINDS[kind](random, " ".join(words[random.randrange(len(words)) :]))


def letter_by_letter(of: Sequence[str], count: int, *, seed: int = 2) -> Iterator[str]:
    """Yields so many texts of users who type titles from the first letter on, and stop anywhere.

    Titles are as popular as their rank in the sequence says: the n-th is typed 1/n times as often as the first (Zipf).
    """
    random = Random(seed)
    texts: list[str] = []
    while len(texts) < count:
        # The n-th of N ranks has the share log(1 + 1/n) / log(N + 1), close to Zipf's.
        rank = int((len(of) + 1) ** random.random())
        letters = jamo.letters(of[rank - 1])
        texts += [_written(letters[:end]) for end in range(1, random.randint(1, len(letters)) + 1)]
    yield from texts[:count]


def _first_letter(random: Random, text: str) -> str:
    return jamo.letters(text)[0]


def _letters(random: Random, text: str) -> str:
    """Returns a beginning of any length, letter by letter, so that the last syllable may be unfinished."""
    return _written(_beginning(random, jamo.letters(text), least=1))


def _initials(random: Random, text: str) -> str:
    return _beginning(random, jamo.initials(text), least=1)


def _on_other_layout(random: Random, text: str) -> str:
    letters = _beginning(random, jamo.letters(text), least=2)
    return keyboard.as_korean(letters) if letters.isascii() else keyboard.as_english(letters)


def _with_error(random: Random, text: str) -> str:
    """Returns a beginning of at least five letters, with a letter that is wrong, missing, doubled or swapped."""
    letters = _beginning(random, jamo.letters(text), least=5)
    place = random.randrange(1, len(letters))
    before, letter, after = letters[:place], letters[place], letters[place + 1 :]
    wrong = random.choice(LATIN_VOWELS + CONSONANTS if letters.isascii() else VOWELS + INITIALS)
    swapped = before[:-1] + letter + before[-1]
    return _written(random.choice((before + wrong, before, before + 2 * letter, swapped)) + after)


def _nothing(random: Random, text: str) -> str:
    """Returns at least eight letters in any order, which seldom fit a title."""
    return _written("".join(random.sample(letters := jamo.letters(text).replace(" ", ""), max(len(letters) - 1, 1))))


KINDS: Mapping[str, Callable[[Random, str], str]] = {
    "first letter": _first_letter,
    "letters": _letters,
    "initials": _initials,
    "other layout": _on_other_layout,
    "typing error": _with_error,
    "letters in any order": _nothing,
}


def _beginning(random: Random, text: str, *, least: int) -> str:
    return text[: random.randint(min(least, len(text)), len(text))].strip()


def _written(letters: str) -> str:
    """Returns letters as a keyboard writes them, in syllables."""
    return letters if letters.isascii() else keyboard.as_korean(keyboard.as_english(letters))


def _korean_name(random: Random) -> str:
    parts = [
        (random.choice(INITIALS), random.choice(VOWELS), random.choice(FINALS))
        for _ in range(random.choice((2, 2, 3, 4)))
    ]
    return "".join(jamo.syllable(*each) for each in parts)


def _english_name(random: Random) -> str:
    return "".join(random.choice(CONSONANTS) + random.choice(LATIN_VOWELS) for _ in range(random.choice((2, 3, 3, 4))))
