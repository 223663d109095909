"""The rules of one state, in the forms that searches use."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, Self

from server.catalogue.rules import DeleteRule, PutRule, RuleKind, StoredRule
from server.synonyms.rule import Rule
from server.synonyms.table import SynonymTable


class QueryRules(NamedTuple):
    """The rules of all kinds. Immutable; safe to use from many threads at once."""

    synonyms: SynonymTable

    @classmethod
    def read(cls, rules: Callable[[RuleKind], Iterable[StoredRule]]) -> Self:
        """Reads the rules of every kind; raises UnfitRule if one is not valid."""
        return cls(SynonymTable(Rule.read(each.content) for each in rules(RuleKind.SYNONYM)))

    def changed(self, changes: Sequence[PutRule | DeleteRule]) -> Self:
        """Returns the rules after changes; raises UnfitRule if one is not valid, or if there are too many."""
        if not changes:
            return self
        synonyms = {rule.id: rule for rule in self.synonyms.rules}
        for change in changes:
            if isinstance(change, DeleteRule):  # The id of a synonym is a hash of its content.
                synonyms.pop(change.id, None)
            else:
                synonyms[change.id] = Rule.read(change.content)
        return self._replace(synonyms=SynonymTable(synonyms.values()))


NO_RULES = QueryRules(SynonymTable())
