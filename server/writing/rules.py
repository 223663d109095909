"""Changes the rules of a catalogue within a transaction: one group commit changes documents and rules."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from server.catalogue.changes import Outcome
from server.catalogue.rules import DeleteRule, PutRule, RuleKind
from server.catalogue.transaction import Transaction
from server.errors import Conflict
from server.ranking.query_rules import QueryRules


class RuleFile(NamedTuple):
    """The digests of a request's rules in the file of their kind, and the ids of rules that are no longer in it."""

    kind: RuleKind
    digests: Mapping[str, bytes]
    gone: Sequence[str] = ()


class RuleChanges(NamedTuple):
    """Changes of rules. If `replaced` is a kind, its rules that are not among `changes` are deleted.

    `file` is set if the changes are those of a file.
    """

    changes: Sequence[PutRule | DeleteRule]
    replaced: RuleKind | None = None
    file: RuleFile | None = None

    def perform(self, transaction: Transaction, rules: QueryRules) -> tuple[list[Outcome], QueryRules]:
        """Makes the changes; returns the outcome of each and the rules that result from those before.

        The outcomes of rules that are deleted because of `replaced` come last. Raises UnfitRule, or Conflict if a rule
        has another version than expected: then the caller must undo what was done.
        """
        changes = list(self.changes)
        if self.replaced is not None:
            kept = {change.id for change in changes}
            changes += [DeleteRule(self.replaced, id) for id in transaction.rule_ids(self.replaced) if id not in kept]
        outcomes = [_perform(change, transaction) for change in changes]
        if self.file is not None:
            transaction.record_rule_file(*self.file)
        made = [change for change, outcome in zip(changes, outcomes, strict=True) if outcome.changed]
        return outcomes, rules.changed(made, transaction.sequences_of)


def _perform(change: PutRule | DeleteRule, transaction: Transaction) -> Outcome:
    version, content = transaction.rule(change.kind, change.id)
    if change.expected_version not in (None, version):
        raise Conflict(change.id, expected_version=change.expected_version or 0, version=version, noun="rule")
    if isinstance(change, PutRule):
        if content == change.content:
            return Outcome(change.id, version, changed=False)
        return Outcome(change.id, transaction.put_rule(*change[:3]), changed=True)
    if not version:
        return Outcome(change.id, 0, changed=False)
    return Outcome(change.id, transaction.delete_rule(change.kind, change.id), changed=True)
