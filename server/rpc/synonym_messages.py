"""Converts rules of synonyms and expansions between the protocol's messages and the types of the table."""

from chaja.v1 import Expansion as ExpansionMessage
from chaja.v1 import SynonymKind, SynonymRule
from server.errors import InvalidRequest, UnfitRule, Violation
from server.synonyms.expansion import Expansion
from server.synonyms.rule import Kind, Rule

NUMBER_OF = {
    Kind.ONE_WAY: SynonymKind.SYNONYM_KIND_ONE_WAY,
    Kind.EQUAL: SynonymKind.SYNONYM_KIND_EQUAL,
}

KIND_OF: dict[int, Kind] = {number: kind for kind, number in NUMBER_OF.items()}


def rule_message(rule: Rule) -> SynonymRule:
    """Returns the message of a rule."""
    return SynonymRule(kind=NUMBER_OF[rule.kind], phrases=rule.phrases, language_code=rule.language)


def to_rule(message: SynonymRule, *, field: str) -> Rule:
    """Returns the rule of a message; raises InvalidRequest."""
    kind = KIND_OF.get(message.kind)
    if kind is None:
        problem = f"is {message.kind}: set SYNONYM_KIND_ONE_WAY or SYNONYM_KIND_EQUAL"
        raise InvalidRequest([Violation(f"{field}.kind", problem)])
    try:
        return Rule.of(kind, message.phrases, language=message.language_code)
    except UnfitRule as error:
        raise InvalidRequest([Violation(field, str(error))]) from None


def expansion_messages(expansion: Expansion | None) -> list[ExpansionMessage]:
    """Returns the messages of an expansion, one for each phrase of the query."""
    if expansion is None:
        return []
    return [
        ExpansionMessage(phrase=expansion.query[slice(*each.span)], added=each.alternatives)
        for each in expansion.occurrences
    ]
