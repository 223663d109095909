"""The command `shadow`: replays recorded queries on both sides, reports what changes, and checks the bounds.

It changes nothing, and may run while a server uses the store.
"""

import contextlib
import tempfile
from argparse import Namespace
from collections.abc import Container, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from server.catalogue.document import content_of
from server.catalogue.encoded import Versioned
from server.catalogue.feedback import FeedbackLog
from server.catalogue.rules import RuleKind, StoredRule
from server.catalogue.store import Store
from server.cpus import usable_cpus
from server.encoding.bundle import Bundle
from server.encoding.cutting import Cutting, chosen_cutting
from server.encoding.kind import TextKind
from server.encoding.manifest import read_manifest
from server.errors import SettingsError, ShadowRefused
from server.merchandising.view import SequencesOf
from server.ranking.query_rules import QueryRules
from server.report_files import check_report, write_report
from server.shadow.comparison import ModeChange, Pair, compare
from server.shadow.documents import Encoder, Kept, documents_of, keeping, stored_documents, with_vectors_of
from server.shadow.recordings import Recording, Recordings, read_recordings, recorded_feedback
from server.shadow.report import Report, Timed, as_json, as_text, described
from server.shadow.side import Side, milliseconds_of

TIMED_QUERIES = 300
"""Queries whose encoding is timed at most."""


class _Chosen(NamedTuple):
    """The choice of a side: its bundle, the revision, its documents, and the example queries that they keep.

    The documents have all example queries, and vectors where the store has them.
    """

    bundle: Path
    revision: str
    versions: list[Versioned]
    kept: Kept


def shadow(options: Namespace) -> None:
    """Runs the command.

    Raises ShadowRefused if a bound is missed, SettingsError if there is nothing to compare, StoreError, BundleError,
    CatalogueError or ReportError.
    """
    check_report(options.json)
    with contextlib.ExitStack() as stack:
        store = None
        if options.data is not None:
            store = stack.enter_context(contextlib.closing(Store(options.data, serving=False)))
        pool = stack.enter_context(ThreadPoolExecutor(usable_cpus(), "shadow"))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="chaja-shadow-")))
        old, new = _chosen_documents(options, store)
        recordings = _recorded(options, store, known={each.document.id for each in (*old.versions, *new.versions)})
        sides = _sides([old, new], store, cutting=chosen_cutting(options), pool=pool, folder=folder)
        report = _replayed(options, recordings, *sides)
    print(as_text(report, show=options.show))
    if options.json is not None:
        write_report(options.json, as_json(report))
    if missed := _missed(report.modes, max_loss=options.max_loss, min_overlap=options.min_overlap):
        raise ShadowRefused("; ".join(missed))


def _chosen_documents(options: Namespace, store: Store | None) -> tuple[_Chosen, _Chosen]:
    """Reads what the options choose for both sides; raises SettingsError if the sides are equal.

    Both sides share what is read: a server may change the store meanwhile, which is no difference between the sides.
    """
    new_bundle = options.new_bundle or options.bundle
    cutting = chosen_cutting(options)
    revision, new_revision = (read_manifest(each, cutting=cutting).revision for each in (options.bundle, new_bundle))
    versions = _documents(options.catalogue, store, revision)
    if options.new_catalogue is not None:
        new_versions = documents_of(options.new_catalogue)
    elif store is None or new_revision == revision:
        new_versions = versions
    else:
        new_versions = with_vectors_of(versions, store, new_revision)
    learnt = set() if store is None else {(each.document_id, each.example) for each in FeedbackLog(store).promotions()}
    old = _Chosen(options.bundle, revision, versions, _kept(options.examples, learnt))
    new = _Chosen(new_bundle, new_revision, new_versions, _kept(options.new_examples, learnt))
    if old.revision == new.revision and _contents(old) == _contents(new):
        raise SettingsError("both sides have the same model and the same documents: there is nothing to compare")
    return old, new


def _documents(catalogue: Path | None, store: Store | None, revision: str) -> list[Versioned]:
    if catalogue is not None:
        return documents_of(catalogue)
    assert store is not None, "without a catalogue there is a store"
    return stored_documents(store, revision)


def _contents(chosen: _Chosen) -> dict[str, bytes]:
    """Returns the documents that a side will have, as bytes, by id."""
    plain = keeping((each._replace(vectors=None) for each in chosen.versions), chosen.kept)
    return {each.document.id: content_of(each.document) for each in plain}


def _sides(
    chosen: Sequence[_Chosen], store: Store | None, *, cutting: Cutting, pool: ThreadPoolExecutor, folder: Path
) -> tuple[Side, Side]:
    """Encodes and indexes both sides."""
    encoders: dict[str, Encoder] = {}
    for each in chosen:
        if each.revision not in encoders:
            encoders[each.revision] = Encoder(Bundle(each.bundle, cutting=cutting), pool)

    stored: dict[RuleKind, list[StoredRule]] = {kind: [] if store is None else store.rules(kind) for kind in RuleKind}

    def rules(sequences_of: SequencesOf) -> QueryRules:
        return QueryRules.read(stored.__getitem__, sequences_of)

    def side(own: _Chosen) -> Side:
        encoder = encoders[own.revision]
        versions = keeping(encoder.encoded(own.versions), own.kept)
        return Side(encoder.bundle, versions, rules=rules, folder=folder, pool=pool)

    old, new = map(side, chosen)
    return old, new


def _kept(examples: str, learnt: Container[tuple[str, str]]) -> Kept:
    """Returns the function that chooses the example queries that documents keep."""
    if examples == "none":
        return lambda _: []
    if examples == "all":
        return lambda document: document.examples
    return lambda document: [text for text in document.examples if (document.id, text) not in learnt]


def _recorded(options: Namespace, store: Store | None, *, known: set[str]) -> Recordings:
    if options.queries is not None:
        return read_recordings(options.queries, known=known, most=options.max_queries)
    assert store is not None, "the options need --data or --queries"
    return recorded_feedback(FeedbackLog(store), known=known, min_users=options.min_users, most=options.max_queries)


def _replayed(options: Namespace, recordings: Recordings, old: Side, new: Side) -> Report:
    """Searches both sides."""
    bundles = list(dict.fromkeys([old.bundle, new.bundle]))
    chosen = [each for each in recordings.chosen if all(_is_encodable(bundle, each) for bundle in bundles)]
    if not chosen:
        raise SettingsError("a model has no tokens for any of the queries: there is nothing to compare")
    labelled = sum(bool(each.relevant) for each in chosen)
    taught = old.example_keys | new.example_keys
    measured = [bool(each.relevant) and each.key not in taught for each in chosen]
    if options.max_loss is not None and not any(measured):
        raise SettingsError("--max-loss needs queries whose right document is known, and that are no example queries")
    modes = [
        compare(mode, list(map(Pair, chosen, old.answers(chosen, mode), new.answers(chosen, mode), measured)))
        for mode in options.mode
    ]
    times = milliseconds_of(bundles, [each.text for each in chosen[:TIMED_QUERIES]])
    return Report(
        old=described(old),
        new=described(new),
        queries=len(chosen),
        left_out=recordings.left_out,
        without_tokens=len(recordings.chosen) - len(chosen),
        measured=sum(measured),
        taught=labelled - sum(measured),
        modes=modes,
        encode=[Timed.of(bundle, own) for bundle, own in zip(bundles, times, strict=True)],
        old_titles=old.titles,
        new_titles=new.titles,
    )


def _is_encodable(bundle: Bundle, recording: Recording) -> bool:
    return bool(bundle.tokenize([(recording.text, TextKind.QUERY)])[0].ids)


def _missed(modes: Sequence[ModeChange], *, max_loss: float | None, min_overlap: float | None) -> list[str]:
    """Returns the bounds that are missed, a sentence each."""
    missed = []
    for each in modes:
        if max_loss is not None and each.recall_loss > max_loss:
            missed.append(f"R@1 of {each.mode} falls by {each.recall_loss:.3f}, more than --max-loss {max_loss:g}")
        if min_overlap is not None and each.overlap < min_overlap:
            missed.append(f"overlap@10 of {each.mode} is {each.overlap:.3f}, below --min-overlap {min_overlap:g}")
    return missed
