"""The rules of one state, in the forms that searches use."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, Self

from server.catalogue.encoded import Versioned
from server.catalogue.rules import DeleteRule, PutRule, RuleKind, StoredRule
from server.merchandising.rule import Rule as MerchandisingRule
from server.merchandising.view import NO_MERCHANDISING, MerchandisingView, SequencesOf
from server.synonyms.rule import Rule as SynonymRule
from server.synonyms.table import SynonymTable


class QueryRules(NamedTuple):
    """The rules of all kinds. Immutable; safe to use from many threads at once."""

    synonyms: SynonymTable
    merchandising: MerchandisingView

    @classmethod
    def read(cls, rules: Callable[[RuleKind], Iterable[StoredRule]], sequences_of: SequencesOf) -> Self:
        """Reads the rules of every kind; raises UnfitRule if one is not valid."""
        synonyms = (SynonymRule.read(each.content) for each in rules(RuleKind.SYNONYM))
        merchandising = [MerchandisingRule.read(each.content) for each in rules(RuleKind.MERCHANDISING)]
        return cls(SynonymTable(synonyms), MerchandisingView.of(merchandising, sequences_of))

    def changed(self, changes: Sequence[PutRule | DeleteRule], sequences_of: SequencesOf) -> Self:
        """Returns the rules after changes; raises UnfitRule if one is not valid, or if there are too many."""
        rules = self
        if last := {change.id: change for change in changes if change.kind is RuleKind.SYNONYM}:
            put, removed = _parts(last.values())
            rules = rules._replace(
                synonyms=self.synonyms.changed(added=[SynonymRule.read(content) for content in put], removed=removed)
            )
        if last := {change.id: change for change in changes if change.kind is RuleKind.MERCHANDISING}:
            put, removed = _parts(last.values())
            kept = {rule.id: rule for rule in self.merchandising.table.rules if rule.id not in removed}
            kept |= {rule.id: rule for rule in map(MerchandisingRule.read, put)}
            rules = rules._replace(merchandising=self.merchandising.changed(kept.values(), sequences_of))
        return rules

    def following(self, added: Iterable[Versioned]) -> Self:
        """Returns the rules after new versions of documents."""
        followed = self.merchandising.following((each.document.id, each.sequence) for each in added)
        return self if followed is self.merchandising else self._replace(merchandising=followed)


def _parts(changes: Iterable[PutRule | DeleteRule]) -> tuple[list[bytes], set[str]]:
    """Returns the contents of the rules that are written, and the ids of those that are deleted."""
    put, removed = [], set()
    for change in changes:
        if isinstance(change, PutRule):
            put.append(change.content)
        else:
            removed.add(change.id)
    return put, removed


NO_RULES = QueryRules(SynonymTable(), NO_MERCHANDISING)
