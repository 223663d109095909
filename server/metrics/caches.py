"""The cache of query vectors and the cache of hits."""

from prometheus_client import CollectorRegistry, Counter, Gauge


class CacheMetrics:
    """The metrics of the caches."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Creates every series."""
        vectors = Counter(
            "chaja_cache_lookups_total",
            "Queries looked up in the vector cache: hit, miss, or shared with an identical query in flight.",
            ["result"],
            registry=registry,
        )
        self.vector_hits, self.vector_misses, self.vectors_shared = (
            vectors.labels(result) for result in ("hit", "miss", "shared")
        )
        self.bytes = Gauge("chaja_cache_bytes", "Memory that the vector cache uses.", registry=registry)
        hits = Counter(
            "chaja_hit_cache_lookups_total",
            "Found documents looked up in the cache of hits: hit, or miss if the store was read.",
            ["result"],
            registry=registry,
        )
        self._hits_kept, self._hits_missing = (hits.labels(result) for result in ("hit", "miss"))

    def count_lookups(self, *, hits: int, misses: int) -> None:
        """Counts the found documents of a query, which were looked up in the cache of hits."""
        if hits:
            self._hits_kept.inc(hits)
        if misses:
            self._hits_missing.inc(misses)
