"""The documents to search: the catalogue file, the store, and the log of changes.

It does not depend on models, requests or the network.
"""
