"""Gathers the texts of concurrent callers and takes them through tokenize, queue, encode and search.

All of it happens in threads of its own; the event loop only hands over and receives.
"""
