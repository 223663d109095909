"""Ranks documents for a query: search options, the search, fusion, and what a score is worth."""
