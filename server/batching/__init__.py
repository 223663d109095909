"""Batches the texts of concurrent calls and takes them through tokenize, queue, encode and search.

Worker threads encode and search. The event loop admits calls, tokenizes short texts and hands out the results.
"""
