"""Ranks documents for a query: options, search, fusion, and the baseline that scores are compared with."""
