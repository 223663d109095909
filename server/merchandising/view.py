"""The rules of one state, and the documents that they name."""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple, Self

from server.merchandising.rule import Rule
from server.merchandising.table import RuleTable

SequencesOf = Callable[[Iterable[str]], Mapping[str, int]]
"""Returns the sequences of the existing documents among some ids."""


class MerchandisingView(NamedTuple):
    """Immutable; safe to use from many threads at once.

    `sequences` has the last known version of each document that a rule names; it may be dead by now.
    """

    table: RuleTable
    sequences: Mapping[str, int]

    @classmethod
    def of(cls, rules: Iterable[Rule], sequences_of: SequencesOf) -> Self:
        """Returns the view of some rules; raises UnfitRule if there are too many."""
        return cls(RuleTable(), {}).changed(rules, sequences_of)

    def changed(self, rules: Iterable[Rule], sequences_of: SequencesOf) -> Self:
        """Returns the view of other rules at the same moment; raises UnfitRule if there are too many."""
        table = RuleTable(rules)
        known = {id: sequence for id, sequence in self.sequences.items() if id in table.document_ids}
        return type(self)(table, {**known, **sequences_of(table.document_ids - self.table.document_ids)})

    def following(self, added: Iterable[tuple[str, int]]) -> Self:
        """Returns the view after new versions of documents, given by id and sequence."""
        if not self.table.document_ids:
            return self
        named = {id: sequence for id, sequence in added if id in self.table.document_ids}
        return self._replace(sequences={**self.sequences, **named}) if named else self


NO_MERCHANDISING = MerchandisingView(RuleTable(), {})
