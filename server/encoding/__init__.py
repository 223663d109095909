"""Texts in, vectors out: the bundle on disk, its tokenizer and its encoder.

Knows nothing of requests, batches or documents. `python -m export` verifies a
bundle with this very code.
"""
