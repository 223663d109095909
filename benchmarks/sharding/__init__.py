"""Compares the answers of shards with those of one index."""
