"""The five stages of a query in the server, in order, by the server's names."""

STAGES = ("tokenize", "queue", "encode", "search", "fetch")

NO_STAGES = (float("nan"),) * len(STAGES)
"""The stage times of an answer that reports none."""
