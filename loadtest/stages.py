"""The five stages of a query inside the server, in order; the words are the server's own."""

STAGES = ("tokenize", "queue", "encode", "search", "fetch")

NO_STAGES = (float("nan"),) * len(STAGES)
"""The times of an answer that tells none."""
