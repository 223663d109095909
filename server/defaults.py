"""Defaults of settings that other modules and programs use as well."""

HNSW_FROM_VECTORS = 10_000
EF_SEARCH = 128
MIN_RECALL = 0.98
PASSAGE_OVERLAP_TOKENS = 32

ADMITTED_SHARE = 0.7
"""Calls are admitted up to this share of the longest wait. Predictions err, and an admitted call that still waits too
long is rejected only when a worker reaches it. Not a setting, but the help of one names it."""
