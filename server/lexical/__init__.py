"""Finds documents that share words with a query. It identifies documents by slot."""
