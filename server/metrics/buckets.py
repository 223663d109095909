"""The upper bounds of the histograms' buckets."""

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""For calls."""

STAGE_SECONDS = (0.00005, 0.0001, 0.00025, *SECONDS)
"""For parts of calls."""

LONG_SECONDS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 150.0, 300.0, 600.0, 1800.0, 3600.0)
"""For work in the background."""

BATCH_TEXTS = tuple(2.0**power for power in range(11))
BATCH_TOKENS = tuple(2.0**power for power in range(3, 15))
