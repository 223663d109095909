"""Letters that people type without meaning words: laughter, tears, short answers of chats, and the ends of a query."""

import re

LAUGHTER = "[ㅋㅎ]{2,}|[ㅠㅜ]{2,}"

FEELING = re.compile(r"(?:.*\s)?(?:[ㅋㅎㅠㅜㅡ]{2,}|([ㄱ-ㅣ])\1{2,})|([ㄱ-ㅎ])\2")
"""Texts that end like ㅠㅠ or ㅋㅋ, and answers such as ㅇㅇ and ㄴㄴ."""

SLANG = re.compile("ㄱㅅ|ㄲㅈ|ㄹㅇ|ㅁㅊ|ㅂㅅ|ㅅㄱ|ㅅㅂ|ㅆㅂ|ㅇㅈ|ㅇㅋ|ㅈㄹ|ㅈㅅ|ㅊㅋ|ㅎㄷㄷ|ㅎㅇ")
"""Initials that stand for words of chats, such as thanks (ㄱㅅ), sorry (ㅈㅅ) and curses. Doubled letters such as
ㄷㄷ are `FEELING`s."""

SURROUNDING = re.compile(
    r"[\s\"'`.,!?~…·:;^()\[\]{}<>“”‘’«»「」『』〈〉《》、。\u200d\ufe0f\u2190-\u2bff\U0001f000-\U0001faff]"
)
"""Whitespace, punctuation and emoji."""

BEFORE = re.compile(rf"(?:(?:{LAUGHTER})\s*)+")
AFTER = re.compile(rf"\s*(?:(?:{LAUGHTER})\s*)+$")


def without_surroundings(text: str) -> str:
    """Returns a text without the punctuation and emoji at both ends."""
    start, end = 0, len(text)
    while start < end and _surrounds(text[end - 1]):
        end -= 1
    while start < end and _surrounds(text[start]):
        start += 1
    return text[start:end]


def without_laughter(text: str) -> str:
    """Returns a text without laughter and tears at both ends; the same if less than two characters would be left."""
    found = BEFORE.match(text)
    shorter = without_surroundings(AFTER.sub("", text[found.end() :] if found else text))
    return shorter if len(shorter) > 1 else text


def _surrounds(character: str) -> bool:
    return not character.isalnum() and SURROUNDING.match(character) is not None
