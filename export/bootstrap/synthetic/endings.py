"""Korean verbs at the end of titles and sentences, and the questions that they become."""

from __future__ import annotations

import re

from export.bootstrap.synthetic.particles import FORMS, RIEUL, final_of
from export.bootstrap.synthetic.words import words_of
from server.korean.jamo import FINALS, FIRST_SYLLABLE

BIEUP = FINALS.index("ㅂ") + 1

STEMS = words_of(
    "하 되 내 보 찾 받 갚 쓰 열 닫 걸 끊 사 팔 켜 끄 막 풀 넣 빼 빌리 바꾸 보내 만들 옮기 늘리 줄이 나누 모으 고르 "
    "지우 맡기 정하 꺼내 낮추 높이 올리 내리 알리 남기 숨기 채우 배우 키우 맞추 갈아타 즐기 잠그 합치 붙이 돌리 누르"
)
"""Stems of verbs that titles end with, before 기 (내기, 만들기). Other words in 기 are nouns (만기, 계산기), and 주기
is more often a period than a gift."""

ENDINGS = (
    (re.compile("(해|어|아|여|려|내|줘|봐|와|겨|켜|꿔|둬|춰) ?(드려요|드립니다|드려|드릴게요|줍니다|줘요)$"), r"\1줘"),
    (re.compile("수 ?있(어요|습니다|다|음)$"), "수 있어?"),
    (re.compile("(이에|예)요$"), r"\1요?"),
    (re.compile("(하세요|해 ?주세요|해요|한다|합니다)$"), "하기"),
    (re.compile("세요$"), "려면 어떻게 해?"),
    (re.compile("(돼요|된다|됩니다)$"), "되나요?"),
    (re.compile("습니다$"), "나요?"),
    (re.compile("요$"), "?"),
)
"""The end of a statement, and of the query that it becomes; the first that fits."""

POLITE = "니다"


def verb_stem(title: str) -> str | None:
    """Returns a title without the 기 that makes a noun of its last verb (전기요금 내); None if it ends otherwise."""
    words = title.split()
    if not words or not words[-1].endswith("기"):
        return None
    stem = words[-1][:-1]
    fits = stem in STEMS or stem.endswith(("하", *(each for each in STEMS if len(each) > 1)))
    return title.rstrip()[:-1] if fits else None


def way_to(stem: str) -> str:
    """Returns the way to do what a stem says: 전기요금 내는 법, 통장 만드는 법."""
    dropped = _with_final(stem, 0) if final_of(stem) == RIEUL else stem
    return f"{dropped}는 법"


def how_to(stem: str) -> str:
    """Returns the question how to do what a stem says: 카드 찾으려면 어떻게 해?"""
    return f"{stem}{'으려면' if final_of(stem) not in (0, RIEUL) else '려면'} 어떻게 해?"


def as_query(sentence: str) -> str:
    """Returns a statement as a user would ask for it: 바로 비교해 드려요 becomes 바로 비교해줘."""
    statement = sentence.rstrip(" .!?…")
    for ending, query in ENDINGS:
        found = ending.search(statement)
        if found is not None:
            return statement[: found.start()] + found.expand(query)
    if statement.endswith(POLITE) and final_of(statement[: -len(POLITE)]) == BIEUP:
        return f"{_with_final(statement[: -len(POLITE)], 0)}나요?"
    return statement


def _with_final(word: str, final: int) -> str:
    """Returns a word whose last syllable has another final consonant."""
    last = ord(word[-1]) - FIRST_SYLLABLE
    return word[:-1] + chr(FIRST_SYLLABLE + last - last % FORMS + final)
