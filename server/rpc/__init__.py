"""The gRPC side: checks requests, builds answers, names errors and counts calls."""
