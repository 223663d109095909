"""Synonyms: a table of rules, its file beside the catalogue, and the expansion of queries with it."""
