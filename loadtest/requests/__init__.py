"""The requests: method, source of its description, payload, and queries."""
