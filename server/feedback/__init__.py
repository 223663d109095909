"""Learns from feedback: which queries become example queries of documents, and whether search gets better by it."""
