"""The documents to search: their file, their parts, and look-up by position.

Knows nothing of vectors, requests or the network.
"""
