"""Vectors in, nearest documents out; attributes in, those out that a filter chooses. Knows positions, not documents."""
