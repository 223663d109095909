"""Replays recorded queries on two bundles, or on two sets of documents: what would change, before it is served."""
