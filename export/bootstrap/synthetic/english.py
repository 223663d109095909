"""English titles and sentences, and the queries that they become."""

from __future__ import annotations

import re
from collections.abc import Iterable

from export.bootstrap.synthetic.words import words_of

STOP_WORDS = frozenset(
    words_of(
        "a an the this that these those of for to in on at by with from into over under about as and or but if when "
        "while than then so not no is are was were be been it its there here which who whom what where how can could "
        "will would may might must should do does did has have had your you we our us they them their my me i he she "
        "his her any all each every some more most other also just only even both up out per via within without after "
        "before until during"
    )
)
"""Words that say nothing about the subject of a text."""

VERBS = frozenset(
    words_of(
        "add apply ask back block book borrow browse build buy call cancel change check choose claim close compare "
        "connect contact convert create cut delete deposit download earn edit enter exchange export extend fill "
        "find fix get gift give hide import install invest invite issue join keep learn lend link list lock look "
        "lower make manage move open order pause pay pick plan play postpone print raise read receive redeem refer "
        "refinance register remove renew rent repay report request reserve reset return save scan schedule search "
        "see sell send set share show sign split start stop submit swap switch track transfer turn unlock update "
        "upgrade upload use verify view watch withdraw write"
    )
)
"""Verbs that titles and sentences of instructions begin with."""

PERSONS = {"your": "my", "yours": "mine", "yourself": "myself", "you": "I", "we": "you", "our": "your", "us": "you"}
"""Persons of a text for users, and those of a user who asks."""

OBJECT = re.compile(
    r"(?<=\w )you(?= (?:a|an|the|one|your|in|on|at|by|with|for|to|when|if|and)\b|[,;]|$)", re.IGNORECASE
)
"""A `you` that is no subject, as in `we send you a new one`."""

WORD = re.compile(r"[A-Za-z][\w'’-]*")


def content_words(words: Iterable[str]) -> list[str]:
    """Returns the words without those such as `a` and `for`."""
    return [word for word in words if word.lower() not in STOP_WORDS]


def is_instruction(text: str) -> bool:
    """Whether a text begins with a verb, such as `Pay electricity bill`."""
    first = WORD.match(text)
    return first is not None and first.group().lower() in VERBS


def questions(title: str) -> list[str]:
    """Returns questions for a title."""
    name = lowered(title)
    if is_instruction(title):
        return [f"how do I {name}", f"where can I {name}", f"I want to {name}"]
    return [f"how does {name} work", f"where do I find {name}", f"what is {name}"]


def as_query(sentence: str) -> str:
    """Returns a statement for users as a user would ask: `Pay your bill` becomes `how do I pay my bill`."""
    statement = OBJECT.sub("me", sentence.rstrip(" .!?…"))
    statement = WORD.sub(lambda found: PERSONS.get(found.group().lower(), found.group()), statement)
    statement = lowered(statement)
    statement = re.sub(r"^I can\b", "can I", statement)
    return f"how do I {statement}" if is_instruction(statement) else statement


def lowered(text: str) -> str:
    """Returns a text whose first word is in small letters, unless it is an abbreviation, such as `ISA account`."""
    first = text.split(maxsplit=1)[0] if text.strip() else ""
    return text if first[1:] != first[1:].lower() or first == "I" else text[:1].lower() + text[1:]
