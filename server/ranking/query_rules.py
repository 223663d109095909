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
        last = {change.id: change for change in changes}.values()
        added = [Rule.read(change.content) for change in last if isinstance(change, PutRule)]
        removed = [change.id for change in last if isinstance(change, DeleteRule)]
        return self._replace(synonyms=self.synonyms.changed(added=added, removed=removed))


NO_RULES = QueryRules(SynonymTable())
