"""One rule of synonyms: as a line of text, and as a row that the store keeps.

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


class Row(NamedTuple):
    """A rule as the store keeps it.

    Attributes:
        id: A hash of the other fields, 16 hexadecimal digits.
        language: A canonical language code, or empty for all languages.
        kind: The name of the `Kind`.
        left: The first phrase.
        right: The others, joined by ` = `.
    """

    id: str
    language: str
    kind: str
    left: str
    right: str


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
    def of(cls, row: Row) -> Self:
        """Reads a row, whose id is not looked at. Raises UnfitRule if its text is not that of one rule."""
        if row.kind not in Kind.__members__:
            raise UnfitRule(f"the kind is {row.kind!r}: use one of {', '.join(Kind.__members__)}")
        language = f"{row.language}: " if row.language else ""
        rule = cls.parse(f"{language}{row.left} {Kind[row.kind].value} {row.right}")
        right = "=".join(_plain(side) for side in row.right.split("="))
        if (
            rule is None
            or (rule.kind.name, rule.language) != (row.kind, canonical_language(row.language))
            or (rule.left, rule.right.replace(" = ", "=")) != (_plain(row.left), right)
        ):
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
    def right(self) -> str:
        """The phrases after the first, joined by ` = `."""
        return " = ".join(self.phrases[1:])

    @property
    def text(self) -> str:
        """The canonical text: `parse` reads the same rule from it."""
        language = f"{self.language}: " if self.language else ""
        return f"{language}{self.left} {self.kind.value} {self.right}"

    @property
    def id(self) -> str:
        """A hash of the text."""
        return blake2b(self.text.encode(), digest_size=8).hexdigest()

    @property
    def row(self) -> Row:
        """The rule as the store keeps it; `of` reads the same rule from it."""
        return Row(self.id, self.language, self.kind.name, self.left, self.right)


def _plain(phrase: str) -> str:
    return " ".join(composed(phrase).split())


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
            bounds = f"{MAX_WORDS} words and {MAX_PHRASE_CHARACTERS} characters"
            raise UnfitRule(f"the phrase {phrase!r} has more than {bounds}: shorten it")
        if (folded := " ".join(words)) in seen:
            raise UnfitRule(f"the phrases {seen[folded]!r} and {phrase!r} are the same to a search: leave one out")
        seen[folded] = phrase
