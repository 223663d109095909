"""Serves one bundle and one catalogue over gRPC.

A query travels one way through the packages: `rpc` checks the request, `batching`
tokenizes it and gathers it with its neighbours, `encoding` turns the batch into
vectors, `index` finds the nearest ones, `catalogue` knows the documents they
belong to. Each package imports only those to the right of it.
"""
