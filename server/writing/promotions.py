"""Records in a transaction which example queries have been learnt, together with the documents that have them."""

from collections.abc import Sequence
from typing import NamedTuple

from server.catalogue.changes import Outcome
from server.catalogue.feedback import Promotion, forget_promotions, record_promotions
from server.catalogue.transaction import Transaction


class PromotionChanges(NamedTuple):
    """Promotions to record and to forget, and the ids of the documents that are written because of them."""

    added: Sequence[Promotion]
    withdrawn: Sequence[Promotion]
    written: frozenset[str]

    def perform(self, transaction: Transaction, outcomes: Sequence[Outcome]) -> None:
        """Makes the changes, except for documents that could not be written."""
        failed = self.written.difference(each.id for each in outcomes if each.error is None)
        forget_promotions(transaction, (each for each in self.withdrawn if each.document_id not in failed))
        record_promotions(transaction, (each for each in self.added if each.document_id not in failed))
