"""Converts rules of merchandising between the protocol's messages and the types of `server.merchandising`."""

from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp

from chaja.v1 import AttributeValue, Equals, MerchandisingRule, QueryMatch
from chaja.v1 import Boost as BoostMessage
from server.attributes.filter import Scalar
from server.errors import Violation
from server.merchandising.rule import Boost, Equal, Match, Rule

MATCH_OF: dict[int, Match] = {
    QueryMatch.QUERY_MATCH_UNSPECIFIED: Match.EXACT,
    QueryMatch.QUERY_MATCH_EXACT: Match.EXACT,
    QueryMatch.QUERY_MATCH_PREFIX: Match.PREFIX,
    QueryMatch.QUERY_MATCH_CONTAINS: Match.CONTAINS,
}
MESSAGE_OF = {
    Match.EXACT: QueryMatch.QUERY_MATCH_EXACT,
    Match.PREFIX: QueryMatch.QUERY_MATCH_PREFIX,
    Match.CONTAINS: QueryMatch.QUERY_MATCH_CONTAINS,
}


def to_rule(message: MerchandisingRule, field: str, violations: list[Violation]) -> Rule:
    """Returns the canonical rule of a message in a request's `field`, and appends its violations."""
    reading = _Reading(field, violations)
    if message.match not in MATCH_OF:
        reading.refuse("match", f"is {message.match}, which is not a QueryMatch")
    rule = Rule(
        id=message.id,
        query=message.query,
        match=MATCH_OF.get(message.match, Match.EXACT),
        language_code=message.language_code,
        start_time=reading.time("start_time", message.start_time) if message.HasField("start_time") else None,
        end_time=reading.time("end_time", message.end_time) if message.HasField("end_time") else None,
        pinned_ids=tuple(message.pinned_ids),
        buried_ids=tuple(message.buried_ids),
        buried_if=tuple(
            Equal(each.attribute, reading.value(f"buried_if[{position}].value", each.value))
            for position, each in enumerate(message.buried_if)
        ),
        boosts=tuple(reading.boost(f"boosts[{position}]", each) for position, each in enumerate(message.boosts)),
    ).canonical()
    violations += [Violation(f"{field}.{each.field}", each.description) for each in rule.problems()]
    return rule


def to_message(rule: Rule, version: int) -> MerchandisingRule:
    """Returns the message of a rule."""
    message = MerchandisingRule(
        id=rule.id,
        query=rule.query,
        match=MESSAGE_OF[rule.match] if rule.query else QueryMatch.QUERY_MATCH_UNSPECIFIED,
        language_code=rule.language_code,
        pinned_ids=rule.pinned_ids,
        buried_ids=rule.buried_ids,
        buried_if=[Equals(attribute=each.attribute, value=_to_value(each.value)) for each in rule.buried_if],
        boosts=[_to_boost(each) for each in rule.boosts],
        version=version,
    )
    if rule.start_time is not None:
        message.start_time.FromDatetime(rule.start_time)
    if rule.end_time is not None:
        message.end_time.FromDatetime(rule.end_time)
    return message


class _Reading:
    """Reads the parts of a message, and collects their violations."""

    def __init__(self, field: str, violations: list[Violation]) -> None:
        self._field = field
        self._violations = violations

    def refuse(self, path: str, description: str) -> None:
        self._violations.append(Violation(f"{self._field}.{path}", description))

    def time(self, path: str, message: Timestamp) -> datetime | None:
        try:
            return message.ToDatetime(tzinfo=UTC)
        except (ValueError, OverflowError):
            self.refuse(path, "is not a time from the year 1 to 9999")
            return None

    def value(self, path: str, message: AttributeValue) -> Scalar:
        match message.WhichOneof("value"):
            case "string_value":
                return message.string_value
            case "number_value":
                return message.number_value
            case "bool_value":
                return message.bool_value
            case None:
                self.refuse(path, "has no value; send a string, a number or a boolean")
                return ""

    def boost(self, path: str, message: BoostMessage) -> Boost:
        kind = message.WhichOneof("value")
        return Boost(
            attribute=message.attribute,
            share=message.share,
            half_value=message.half_value if kind == "half_value" else None,
            half_life_days=message.half_life_days if kind == "half_life_days" else None,
            equals=self.value(f"{path}.equals", message.equals) if kind == "equals" else None,
        )


def _to_boost(boost: Boost) -> BoostMessage:
    message = BoostMessage(attribute=boost.attribute, share=boost.share)
    if boost.half_value is not None:
        message.half_value = boost.half_value
    if boost.half_life_days is not None:
        message.half_life_days = boost.half_life_days
    if boost.equals is not None:
        message.equals.CopyFrom(_to_value(boost.equals))
    return message


def _to_value(value: Scalar) -> AttributeValue:
    if isinstance(value, str):
        return AttributeValue(string_value=value)
    return AttributeValue(bool_value=value) if isinstance(value, bool) else AttributeValue(number_value=value)
