"""The gRPC services: they check requests, build answers, map errors to gRPC codes and count calls."""
