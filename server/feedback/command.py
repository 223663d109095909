"""The command `learn`: shows what feedback teaches, measures it, and applies it to the store, or undoes it.

In a directory, only `--dry-run` may run while a server uses the store. In PostgreSQL, servers follow what is learnt.
"""

import contextlib
import tempfile
import time
from argparse import Namespace
from pathlib import Path

from server.catalogue.database import locked
from server.catalogue.document import Field
from server.catalogue.feedback import Promotion, forget_promotions, record_promotions
from server.catalogue.store import Store
from server.encoding.bundle import Bundle
from server.encoding.cutting import chosen_cutting
from server.errors import LearningRefused, StoreError
from server.feedback.learning import WORK, Learner, Lesson, Measured
from server.feedback.policy import Confirmed, Policy
from server.metrics.feedback import MODES
from server.terminal import fitted

QUERY_COLUMNS = 40
"""Width of queries and of documents' ids in the table, in columns of a terminal."""


def learn(options: Namespace) -> None:
    """Runs the command. Raises LearningRefused if R@1 would fall, StoreError, BundleError or StoreFull."""
    policy = Policy(min_users=options.min_users, min_agreement=options.min_agreement, max_examples=options.max_examples)
    with contextlib.ExitStack() as stack:
        if not options.dry_run and isinstance(options.data, Path):
            stack.enter_context(locked(options.data))
        store = Store(options.data, serving=not options.dry_run)
        stack.callback(store.close)
        if not options.dry_run and not stack.enter_context(store.alone(WORK)):
            raise StoreError(f"another process learns from {options.data}: wait for its end")
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="chaja-learn-")))
        bundle = Bundle(options.bundle, cutting=chosen_cutting(options))
        bundle.verify()
        chosen = {field: getattr(options, f"{field.value}_weight") for field in Field}
        weights = {field: factor for field, factor in chosen.items() if factor is not None}
        learner = Learner(store, bundle, policy, folder=folder, weights=weights)
        stack.callback(learner.close)
        if options.undo:
            lesson = learner.everything()
        else:
            lesson, measured = learner.lesson(), learner.measure()
            _print(lesson, measured, min_users=policy.min_users)
            if measured.worse and (lesson.added or lesson.withdrawn):
                raise LearningRefused(measured.worse)
        documents = learner.changed(lesson)
        if not options.dry_run:
            now = int(time.time())
            with store.write() as transaction:
                versions = transaction.sequences_of(each.document.id for each in documents)
                if any(versions.get(each.document.id) != each.sequence for each in documents):
                    raise StoreError("documents were changed meanwhile: nothing was learnt; run the command again")
                for each in documents:
                    assert each.vectors is not None, "they are encoded"
                    transaction.put(each.document, each.vectors, revision=bundle.manifest.revision)
                forget_promotions(transaction, lesson.withdrawn)
                record_promotions(transaction, (_promotion(each, now) for each in lesson.added))
        counts = f"{len(lesson.added)} added, {len(lesson.withdrawn)} taken away"
        dry_run = "; nothing was changed (dry run)" if options.dry_run else ""
        print(f"example queries: {counts}; documents changed: {len(documents)}{dry_run}")


def _promotion(confirmed: Confirmed, seconds: int) -> Promotion:
    return Promotion(confirmed.document_id, confirmed.query, confirmed.users, seconds)


def _print(lesson: Lesson, measured: Measured, *, min_users: int) -> None:
    if lesson.added or lesson.withdrawn:
        print(f"  {_columns('query')}  {_columns('document')}  users  agreement  rank")
    for each in lesson.added:
        rank = f"{each.rank:.1f}" if each.rank else ""
        row = f"{_columns(each.query)}  {_columns(each.document_id)}  {each.users:5}  {each.agreement:9.2f}  {rank:>4}"
        print(f"+ {row}")
    for gone in lesson.withdrawn:
        print(f"- {_columns(gone.example)}  {_columns(gone.document_id)}")
    if not measured.questions:
        print(f"no query is confirmed yet: {min_users} users must agree on its document")
        return
    changes = ", ".join(f"{mode} {measured.before[mode]:.3f} -> {measured.after[mode]:.3f}" for mode in MODES)
    print(f"R@1 of {measured.questions} confirmed queries that were held out: {changes}")


def _columns(text: str) -> str:
    return fitted(text, QUERY_COLUMNS)
