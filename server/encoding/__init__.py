"""Encodes texts into vectors: the bundle on disk and its towers, each a tokenizer and an encoder.

It does not depend on requests or batches. `python -m export` verifies bundles with the same code.
"""
