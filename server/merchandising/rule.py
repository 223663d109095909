"""One rule of merchandising: the queries that it applies to, and what it does to their hits.

    {"id": "loan-season", "query": "대출", "match": "contains", "end_time": "2027-01-01T00:00:00+09:00",
     "pinned_ids": ["loan-new"], "buried_if": [{"attribute": "status", "value": "ended"}],
     "boosts": [{"attribute": "popular", "share": 0.2, "half_value": 1000}]}

`id` and one effect are required. Without a `query`, the rule applies to every query.
"""

import enum
import math
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Annotated, Self

import msgspec

from server.attributes.filter import Scalar
from server.catalogue.document import LARGEST_EXACT_INTEGER, plain_scalar
from server.catalogue.languages import canonical_language
from server.composition import composed
from server.errors import UnfitRule, Violation
from server.synonyms.words import words_of

MAX_NAME_CHARACTERS = 256
"""Maximum characters of the id of a rule or a document, and of the name of an attribute."""

MAX_QUERY_CHARACTERS = 200
MAX_VALUE_CHARACTERS = 1000
MAX_PINNED = 50
MAX_BURIED = 200
MAX_CONDITIONS = 16
MAX_BOOSTS = 8
"""Bounds of a rule."""

MAX_SHARE = 0.5
"""Maximum share of a score that boosts decide, all boosts of a query together."""

MAX_HALF_LIFE_DAYS = 36_500.0

Time = Annotated[datetime, msgspec.Meta(tz=True)]


class Match(enum.Enum):
    """The queries that a rule applies to: its own, those that begin with it, or those that contain it."""

    EXACT = "exact"
    PREFIX = "prefix"
    CONTAINS = "contains"


class Equal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The documents whose attribute has this value."""

    attribute: str
    value: Scalar


class Boost(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A share of the score that an attribute decides; see `server.merchandising.boosts`. One of the last three is set.

    Attributes:
        half_value: For numbers of 0 or more: the number that earns half of the share.
        half_life_days: For times: the age that earns half of the share.
        equals: For any value: the value that earns the share.
    """

    attribute: str
    share: float
    half_value: float | None = None
    half_life_days: float | None = None
    equals: Scalar | None = None


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A rule. It applies from `start_time` until before `end_time`, to queries in `language_code` if it is set."""

    id: str
    query: str = ""
    match: Match = Match.EXACT
    language_code: str = ""
    start_time: Time | None = None
    end_time: Time | None = None
    pinned_ids: tuple[str, ...] = ()
    buried_ids: tuple[str, ...] = ()
    buried_if: tuple[Equal, ...] = ()
    boosts: tuple[Boost, ...] = ()

    @classmethod
    def read(cls, content: bytes) -> Self:
        """Reads a rule from JSON; raises UnfitRule."""
        try:
            rule = msgspec.json.decode(content, type=cls).canonical()
        except msgspec.ValidationError as error:
            raise UnfitRule(str(error)) from None
        except (msgspec.DecodeError, RecursionError) as error:
            raise UnfitRule(f"the rule is not a JSON object: {error}") from None
        if (problem := next(rule.problems(), None)) is not None:
            raise UnfitRule(f"{problem.field} {problem.description}")
        return rule

    def canonical(self) -> Self:
        """Returns the rule in the form in which it is compared and stored."""
        return msgspec.structs.replace(
            self,
            # Spaces alone stay: without a query the rule would be for every one.
            query=" ".join(composed(self.query).split()) or self.query[:1],
            language_code=canonical_language(self.language_code),
            start_time=_in_utc(self.start_time),
            end_time=_in_utc(self.end_time),
            buried_if=tuple(Equal(composed(each.attribute), _plain(each.value)) for each in self.buried_if),
            boosts=tuple(
                msgspec.structs.replace(
                    each,
                    attribute=composed(each.attribute),
                    equals=None if each.equals is None else _plain(each.equals),
                )
                for each in self.boosts
            ),
        )

    @property
    def content(self) -> bytes:
        """The rule as JSON: canonical rules are equal if, and only if, their contents are."""
        return msgspec.json.encode(self)

    def applies_at(self, seconds: float) -> bool:
        """Returns whether the rule applies at a time, in seconds since 1970."""
        started = self.start_time is None or self.start_time.timestamp() <= seconds
        return started and (self.end_time is None or seconds < self.end_time.timestamp())

    def problems(self) -> Iterator[Violation]:
        """Yields what is wrong with the rule, with the path of each field."""
        yield from _name_problems("id", self.id)
        if len(self.query) > MAX_QUERY_CHARACTERS:
            yield _too_many("query", len(self.query), "characters", MAX_QUERY_CHARACTERS)
        elif self.query and not words_of(self.query):
            yield Violation("query", "has no word: write letters, digits or symbols")
        elif not self.query and self.match is not Match.EXACT:
            yield Violation("match", "is set without a query: set a query, or leave match out for every query")
        if len(self.language_code) > MAX_NAME_CHARACTERS:
            yield _too_many("language_code", len(self.language_code), "characters", MAX_NAME_CHARACTERS)
        if self.start_time and self.end_time and self.end_time <= self.start_time:
            yield Violation("end_time", "is not after start_time: set a later time")
        yield from self._documents()
        yield from self._conditions()
        yield from self._boosts()
        if not (self.pinned_ids or self.buried_ids or self.buried_if or self.boosts):
            yield Violation("pinned_ids", "is empty, and so is every other effect: pin, bury or boost something")

    def _documents(self) -> Iterator[Violation]:
        for field, ids, maximum in (
            ("pinned_ids", self.pinned_ids, MAX_PINNED),
            ("buried_ids", self.buried_ids, MAX_BURIED),
        ):
            if len(ids) > maximum:
                yield _too_many(field, len(ids), "elements", maximum)
                return
            seen: set[str] = set(self.pinned_ids if field == "buried_ids" else ())
            for position, id in enumerate(ids):
                yield from _name_problems(f"{field}[{position}]", id)
                if id in seen:
                    yield Violation(f"{field}[{position}]", "names a document again: pin or bury it once")
                seen.add(id)

    def _conditions(self) -> Iterator[Violation]:
        if len(self.buried_if) > MAX_CONDITIONS:
            yield _too_many("buried_if", len(self.buried_if), "elements", MAX_CONDITIONS)
            return
        for position, each in enumerate(self.buried_if):
            yield from _name_problems(f"buried_if[{position}].attribute", each.attribute)
            yield from _value_problems(f"buried_if[{position}].value", each.value)

    def _boosts(self) -> Iterator[Violation]:
        if len(self.boosts) > MAX_BOOSTS:
            yield _too_many("boosts", len(self.boosts), "elements", MAX_BOOSTS)
            return
        for position, boost in enumerate(self.boosts):
            yield from _boost_problems(f"boosts[{position}]", boost)
        if math.fsum(boost.share for boost in self.boosts) > MAX_SHARE:
            yield Violation("boosts", f"have shares of more than {MAX_SHARE} together: lower them")


def _boost_problems(path: str, boost: Boost) -> Iterator[Violation]:
    yield from _name_problems(f"{path}.attribute", boost.attribute)
    if not 0 < boost.share <= MAX_SHARE:
        yield Violation(f"{path}.share", f"is {boost.share}; it must be above 0 and at most {MAX_SHARE}")
    kinds: Sequence[object] = (boost.half_value, boost.half_life_days, boost.equals)
    if sum(kind is not None for kind in kinds) != 1:
        yield Violation(path, "needs exactly one of half_value, half_life_days and equals")
    if boost.half_value is not None and not 0 < boost.half_value < math.inf:
        yield Violation(f"{path}.half_value", f"is {boost.half_value}; it must be a finite number above 0")
    if boost.half_life_days is not None and not 0 < boost.half_life_days <= MAX_HALF_LIFE_DAYS:
        bounds = f"above 0 and at most {MAX_HALF_LIFE_DAYS:.0f}"
        yield Violation(f"{path}.half_life_days", f"is {boost.half_life_days}; it must be {bounds}")
    if boost.equals is not None:
        yield from _value_problems(f"{path}.equals", boost.equals)


def _name_problems(path: str, name: str) -> Iterator[Violation]:
    if not name.strip():
        yield Violation(path, "is empty; write at least one character that is not whitespace")
    elif len(name) > MAX_NAME_CHARACTERS:
        yield _too_many(path, len(name), "characters", MAX_NAME_CHARACTERS)


def _value_problems(path: str, value: Scalar) -> Iterator[Violation]:
    if isinstance(value, str) and len(value) > MAX_VALUE_CHARACTERS:
        yield _too_many(path, len(value), "characters", MAX_VALUE_CHARACTERS)
    elif isinstance(value, float) and not math.isfinite(value):
        yield Violation(path, f"is {value}; numbers must be finite")
    elif isinstance(value, int) and abs(value) > LARGEST_EXACT_INTEGER:
        yield Violation(path, "is too large for a number: write it as a string")


def _too_many(path: str, count: int, unit: str, maximum: int) -> Violation:
    return Violation(path, f"has {count} {unit}; at most {maximum} are allowed")


def _in_utc(time: datetime | None) -> datetime | None:
    try:
        return time and time.astimezone(UTC)
    except OverflowError:  # In the first or the last hours of the calendar.
        return time


def _plain(value: Scalar) -> Scalar:
    return composed(value) if isinstance(value, str) else plain_scalar(value)
