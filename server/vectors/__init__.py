"""Vectors in, nearest documents out: exact search, a graph of neighbours, and its measured recall."""
