"""Measures the server as its clients see it: speed, latency, behaviour under overload, and lost requests."""
