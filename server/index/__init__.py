"""Vectors in, nearest documents out. Knows positions, not documents."""
