"""Generator machines: the coordinator drives the worker processes of others over gRPC, as it drives its own."""
