"""Measures a bundle against the original model, and against thresholds.

`corpus` provides the texts; `closeness`, `invariance` and `retrieval` measure; `gate` holds the thresholds; `exclusion`
finds the products that cause a missed threshold.
"""
