"""Measures search on labelled queries: `python -m export evaluate`."""
