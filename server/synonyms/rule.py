"""One rule of synonyms, and its text, which is a line of the file and what the store keeps.

`마통 -> 마이너스통장` adds the right side where a query has the left one. `체카 = 체크카드 = 체크 카드` adds the others
where a query has any of them. A language before the rule (`ko: `) restricts it to queries in that language.
"""

import enum
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from typing import NamedTuple, Self

from server.catalogue.languages import canonical_language
from server.composition import composed
from server.errors import UnfitRule
from server.synonyms.words import joined, words_of

MAX_WORDS = 8
MAX_PHRASE_CHARACTERS = 60
MAX_PHRASES = 16
"""Bounds of a rule: words and characters of a phrase, both as written and as compared, and phrases of a rule."""

MAX_TEXT_CHARACTERS = 4096
"""Characters of a rule's text, with spaces and the comment after it."""

LANGUAGE = re.compile(r"([A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{1,8})*):\s*")
COMMENT = re.compile(r"(?:^|\s)#.*", re.DOTALL)
ARROW = re.compile("->|→")

FORMS = "write `a -> b` for one way, or `a = b` for both"


class Kind(enum.Enum):
    """The relation of a rule's phrases. The value is written between them."""

    ONE_WAY = "->"
    EQUAL = "="


class Form(NamedTuple):
    """A phrase as written, its folded words with single spaces, and the form in which phrases are compared."""

    phrase: str
    spelling: str
    key: str


@dataclass(frozen=True)
class Rule:
    """A rule, as `parse` or `of` make it. Equal rules have equal texts."""

    kind: Kind
    phrases: tuple[str, ...]
    language: str = ""

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Reads a rule; None if there is only a comment or nothing. Raises UnfitRule."""
        if len(text) > MAX_TEXT_CHARACTERS:
            raise UnfitRule(f"the rule has {len(text)} characters: write at most {MAX_TEXT_CHARACTERS}")
        rule = COMMENT.sub("", composed(text)).strip()
        if not rule:
            return None
        prefix = LANGUAGE.match(rule)
        language, rule = (canonical_language(prefix[1]), rule[prefix.end() :]) if prefix else ("", rule)
        if "=>" in rule:
            raise UnfitRule(f"`=>` is not used here: {FORMS}")
        sides = ARROW.split(rule)
        if len(sides) > 2 or (len(sides) == 2 and "=" in rule):
            raise UnfitRule(f"the rule has more than one arrow, or an arrow and `=`: split it: {FORMS}")
        kind = Kind.ONE_WAY if len(sides) == 2 else Kind.EQUAL
        phrases = [" ".join(phrase.split()) for phrase in (sides if kind is Kind.ONE_WAY else rule.split("="))]
        if len(phrases) == 1:
            raise UnfitRule(f"the rule has neither `->` nor `=`: {FORMS}")
        _check(phrases)
        return cls(kind, tuple(phrases), language)

    @classmethod
    def read(cls, content: bytes) -> Self:
        """Reads a rule as the store keeps it: its text. Raises UnfitRule."""
        rule = cls.parse(content.decode())
        if rule is None:
            raise UnfitRule("the rule is empty: write `a -> b` or `a = b`")
        return rule

    @classmethod
    def of(cls, kind: Kind, phrases: Sequence[str], *, language: str = "") -> Self:
        """Returns the rule with these fields. Raises UnfitRule if no text says the same."""
        most = 2 if kind is Kind.ONE_WAY else MAX_PHRASES
        if not 2 <= len(phrases) <= most:
            wanted = "2 phrases" if most == 2 else f"2 to {most} phrases"
            raise UnfitRule(f"a rule of this kind has {wanted}, not {len(phrases)}")
        plain = tuple(" ".join(composed(phrase).split()) for phrase in phrases)
        rule = cls.parse(cls(kind, plain, language).text)
        if rule != cls(kind, plain, canonical_language(language)):
            raise UnfitRule(
                "a field holds a part of the notation, or no language code: leave `->`, `=`, ` #` and `xx:` out of "
                "phrases, and name languages as in `ko` or `en-US`"
            )
        return rule

    @cached_property
    def forms(self) -> tuple[Form, ...]:
        """The phrases in the forms that a table needs. They are kept, so that a changed table is built fast."""
        return tuple(
            Form(phrase, " ".join(words), joined(words).text)
            for phrase, words in zip(self.phrases, map(words_of, self.phrases), strict=True)
        )

    @property
    def left(self) -> str:
        """The first phrase."""
        return self.phrases[0]

    @property
    def text(self) -> str:
        """The canonical text: `parse` reads the same rule from it."""
        language = f"{self.language}: " if self.language else ""
        return language + f" {self.kind.value} ".join(self.phrases)

    @property
    def id(self) -> str:
        """A hash of the text."""
        return blake2b(self.text.encode(), digest_size=8).hexdigest()


def _check(phrases: Sequence[str]) -> None:
    """Raises UnfitRule if a phrase is unfit, or is there twice."""
    if len(phrases) > MAX_PHRASES:
        raise UnfitRule(f"the rule has {len(phrases)} phrases: write at most {MAX_PHRASES}")
    # Compared with their spaces: `체크카드` and `체크 카드` have different words in the lexical index.
    seen: dict[str, str] = {}
    for phrase in phrases:
        if len(phrase) > MAX_PHRASE_CHARACTERS:
            raise UnfitRule(f"the phrase {phrase[:20]!r}… has more than {MAX_PHRASE_CHARACTERS} characters: shorten it")
        words = words_of(phrase)
        if not words:
            raise UnfitRule(f"the phrase {phrase!r} has no word: write letters, digits or symbols on each side")
        if len(words) > MAX_WORDS or len(joined(words).text) > MAX_PHRASE_CHARACTERS:
            bounds = f"{MAX_WORDS} words or {MAX_PHRASE_CHARACTERS} characters"
            raise UnfitRule(f"the phrase {phrase!r} has more than {bounds}: shorten it")
        if (folded := " ".join(words)) in seen:
            raise UnfitRule(f"the phrases {seen[folded]!r} and {phrase!r} are the same to a search: leave one out")
        seen[folded] = phrase
