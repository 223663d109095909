"""The index of vectors: exact search, an HNSW graph, and the graph's measured recall."""
