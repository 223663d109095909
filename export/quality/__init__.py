"""How good a bundle is beside the original model, and whether that is good enough.

`corpus` says on which texts, `closeness`, `invariance` and `retrieval` measure,
`gate` holds the thresholds, `exclusion` finds the layers that hurt.
"""
