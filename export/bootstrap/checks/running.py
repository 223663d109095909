"""Runs all checks of a catalogue."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from export.bootstrap.checks.duplicates import duplicates
from export.bootstrap.checks.encoded import EncodedCatalogue
from export.bootstrap.checks.examples import shared_examples, uneven_examples
from export.bootstrap.checks.finding import Finding
from export.bootstrap.checks.near import NEAR, near_duplicates
from export.bootstrap.checks.titles import odd_titles
from export.bootstrap.checks.winners import hubs, never_first, winners
from server.catalogue.document import Document
from server.encoding.bundle import Bundle


def findings_of(
    documents: Sequence[Document], bundle: Bundle, *, near: float = NEAR, progress: Callable[[str], None]
) -> list[Finding]:
    """Returns the findings of all checks, by check. Raises BundleError if the bundle fails on a document."""
    found = [*duplicates(documents), *odd_titles(documents), *shared_examples(documents), *uneven_examples(documents)]
    catalogue = EncodedCatalogue(documents, bundle, progress=progress)
    progress("comparing documents with each other")
    found += near_duplicates(catalogue, near=near)
    first = winners(catalogue)
    return [*found, *never_first(catalogue, first), *hubs(catalogue, first)]
