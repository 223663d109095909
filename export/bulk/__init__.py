"""`python -m export encode`: encodes catalogues on Ray Data, and writes documents and vectors to a store."""
