"""Texts in, documents that share words with a query out. Knows slots, not documents."""
