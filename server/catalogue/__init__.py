"""The documents to search: the catalogue's file, the store, and the log of changes.

It does not depend on models, requests or the network.
"""
