"""Defaults of settings that other modules and programs use as well."""

HNSW_FROM_VECTORS = 10_000
EF_SEARCH = 128
MIN_RECALL = 0.98
PASSAGE_TOKENS = 0
PASSAGE_OVERLAP_TOKENS = 32

ADMITTED_SHARE = 0.65
"""The server admits a call if its predicted wait is at most this share of --longest-wait-seconds. Predictions err, and
an admitted call that still waits too long is rejected only when a worker reaches it. The flag's help names it."""
