"""Batching and the caches: how much work a query causes."""

from deploy.grafana.frame import Row
from deploy.grafana.panels import Panel, graph
from deploy.grafana.queries import Query, quantiles, rate, series, share


def details() -> list[Row]:
    """Returns the rows of the details."""
    return [
        Row("Batching", [_texts(), _tokens(), _throughput()]),
        Row("Caches", [_hit_shares(), _lookups(), _bytes()]),
    ]


def _texts() -> Panel:
    return graph(
        "Texts of a batch",
        quantiles("chaja_batch_texts"),
        unit="none",
        text="Texts that a worker encodes together. Large batches mean that texts wait: look at the predicted wait.",
        alerts=["ChajaSaturated"],
    )


def _tokens() -> Panel:
    return graph(
        "Tokens of a batch",
        quantiles("chaja_batch_tokens"),
        unit="none",
        text="Tokens that a worker encodes together; --max-batch-tokens bounds them. They set the time of the stage "
        "encode. Much longer texts than usual come from a new caller or from writes.",
    )


def _throughput() -> Panel:
    return graph(
        "Encoded texts, tokens and batches",
        [
            Query(rate("chaja_batch_texts_sum"), "texts"),
            Query(rate("chaja_batch_tokens_sum"), "tokens"),
            Query(rate("chaja_batch_texts_count"), "batches"),
        ],
        unit="cps",
        text="Work of the encoder per second. Compare the texts with the rates of docs/sizing.md to see how much more "
        "the servers can take.",
    )


def _hit_shares() -> Panel:
    return graph(
        "Hits of the caches",
        [
            Query(share("chaja_cache_lookups_total", 'result=~"hit|shared"'), "vectors"),
            Query(share("chaja_hit_cache_lookups_total", 'result="hit"'), "hits"),
        ],
        unit="percentunit",
        text="Share of the queries whose vector is known, and of the found documents that need not be read from the "
        "store. A drop after a reload or a start is normal and costs CPU until the caches are warm.",
        highest=1,
        no_value="no lookups",
    )


def _lookups() -> Panel:
    return graph(
        "Lookups in the caches",
        [
            Query(rate("chaja_cache_lookups_total", by="result"), "vectors: {{result}}"),
            Query(rate("chaja_hit_cache_lookups_total", by="result"), "hits: {{result}}"),
        ],
        unit="cps",
        text="Lookups per second. `shared` queries wait for the vector of an identical query: many of them come from "
        "callers that repeat a search at once.",
    )


def _bytes() -> Panel:
    return graph(
        "Memory of the vector cache",
        [Query(series("chaja_cache_bytes"), "{{instance}}")],
        unit="bytes",
        text="Memory that the cache of vectors uses. If it is full and its hit share low, a larger --cache-bytes "
        "saves encoding.",
    )
