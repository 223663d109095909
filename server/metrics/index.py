"""The live index: its size, its recall, and its rebuilds."""

from functools import partial

from prometheus_client import CollectorRegistry, Gauge

from server.metrics.outcomes import Outcomes


class IndexMetrics:
    """The metrics of the live index.

    Attributes:
        vectors: A gauge for each part of the index.
    """

    def __init__(self, registry: CollectorRegistry, *, min_recall: float) -> None:
        """Creates every series."""
        gauge = partial(Gauge, registry=registry)
        self.documents = gauge("chaja_catalogue_documents", "Documents in the catalogue.")
        self.live_vectors = gauge("chaja_catalogue_vectors", "Vectors of the documents.")
        self.sequence = gauge("chaja_catalogue_sequence", "Sequence of the newest change that searches see.")
        vectors = gauge(
            "chaja_index_vectors",
            "Vectors by part of the index: in the graph, compared exactly, or dead: their document was deleted or "
            "replaced since the last rebuild. Counted every 2 s.",
            ["part"],
        )
        self.vectors = {part: vectors.labels(part) for part in ("graph", "exact", "dead")}
        recall = gauge(
            "chaja_index_recall",
            'Recall@10 of the index, measured on a sample of searches (query="search") and on vectors of random '
            'documents (query="document"); 1 while every vector is compared.',
            ["query"],
        )
        self.recall = {query: recall.labels(query) for query in ("search", "document")}
        for each in self.recall.values():
            each.set(1)
        gauge("chaja_index_min_recall", "--min-recall, below which the server raises ef_search.").set(min_recall)
        self.ef_search = gauge("chaja_index_ef_search", "Candidates that a search of the index's graph keeps.")
        self.rebuilds = Outcomes(
            registry,
            counter=(
                "chaja_index_rebuilds_total",
                "Rebuilds of the index without its dead vectors, by result: ok or failed.",
            ),
            seconds=("chaja_index_rebuild_seconds", "Time of a rebuild of the index, also of a failed one."),
        )
        self.graph_builds = Outcomes(
            registry,
            counter=(
                "chaja_graph_builds_total",
                "Builds of the index's graph, most of which extend the previous one, by result: ok or failed.",
            ),
            seconds=("chaja_graph_build_seconds", "Time of a build of the graph, also of a failed one."),
        )
        self.snapshot_timestamp_seconds = gauge(
            "chaja_snapshot_timestamp_seconds", "Unix time of the newest snapshot of the index; 0 without one."
        )
