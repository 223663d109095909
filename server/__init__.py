"""Serves one bundle and one catalogue over gRPC.

A query travels one way: `rpc` checks the request; `batching` tokenizes the query and adds it to a batch; `encoding`
turns the batch into vectors; `ranking` searches `vectors`, `lexical` and `attributes`; `catalogue` provides the
documents. pyproject.toml lists the layers: each imports only from those below it.
"""

import os

# ONNX Runtime 1.29 and later would report models and sessions to its maker, and keep an id of the machine in the home.
# It reads this once, when it is imported.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
