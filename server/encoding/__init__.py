"""Texts in, vectors out: the bundle on disk and its towers, each a tokenizer and an encoder.

Knows nothing of requests, batches or documents. `python -m export` verifies a
bundle with this very code.
"""
