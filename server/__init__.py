"""Serves one bundle and one catalogue over gRPC.

A query travels one way: `rpc` checks the request; `batching` tokenizes the query and adds it to a batch; `encoding`
turns the batch into vectors; `ranking` searches `vectors`, `lexical` and `attributes`; `catalogue` provides the
documents. pyproject.toml lists the layers: each imports only from those below it.
"""
